//! A text on the command line: the word itself, or `-` for what standard input holds.

use std::convert::Infallible;
use std::io::Read as _;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::failure::{Code, Failure, Result};

/// What stands for standard input.
const INPUT: &str = "-";

/// A text, or where it is to be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// The text.
    Text(String),
    /// Standard input, to its end.
    Input,
}

impl Content {
    /// Takes it from standard input if it is to be had there.
    ///
    /// # Errors
    /// When standard input cannot be read or is not UTF-8.
    pub fn read(&mut self) -> Result<()> {
        if *self == Self::Input {
            let mut text = String::new();
            let read = std::io::stdin().lock().read_to_string(&mut text);
            read.map_err(|why| Failure::io("standard input cannot be read", &why))?;
            *self = Self::Text(text);
        }
        Ok(())
    }

    /// The text.
    ///
    /// # Errors
    /// When it has not been read.
    pub fn into_text(self) -> Result<String> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Input => {
                let message = "`-`, standard input, can be read only by a command line of its own";
                Err(Failure::new(Code::Unsupported, message))
            }
        }
    }
}

impl FromStr for Content {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == INPUT { Self::Input } else { Self::Text(text.to_owned()) })
    }
}
