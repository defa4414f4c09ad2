//! `tombolo text edit`: a copy of a text in somebody's editor, and then what was changed in it done to the text.
//!
//! While the editor runs, this command has nothing open: others read and write, nodes come and go. What the copy is a copy of it knows
//! by the names of the letters, not by their places, so that what was changed is found in the text as it stands then.

use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use tombolo_crdt::TextSnapshot;

use crate::args::Concern;
use crate::ask::ask;
use crate::failure::{Code, Failure, Result, at};
use crate::home::Home;
use crate::local::Client;
use crate::name::Name;
use crate::output::Output;
use crate::request::Request;
use crate::shell::split;
use crate::signal;

/// Who says what the editor is, first of all.
const EDITORS: [&str; 2] = ["VISUAL", "EDITOR"];
/// The editor if nobody says.
const EDITOR: &str = if cfg!(windows) { "notepad" } else { "vi" };
/// The longest name of a copy, in letters.
const MAX_FILE_NAME: usize = 64;

/// Has a text edited.
///
/// # Errors
/// When it cannot be read or written, or the editor fails. The text is as it was then, and the copy is kept and named.
pub async fn edit(home: &Home, output: Output, name: Name, concern: Concern) -> Result<()> {
    let request = |edit| Request::Edited { name: name.clone(), edit, concern: concern.clone() };
    let early = request(Default::default());
    // Better said before somebody has typed much.
    if early.needs_a_running_node() && home.exists() && Client::find(&home.folder).await?.is_none() {
        return Err(Failure::not_running(home.folder.display(), &early));
    }
    let opened = ask(home, &Request::Snapshot { name: name.clone() }).await?;
    let opened: TextSnapshot = serde_json::from_value(opened)
        .map_err(|why| Failure::new(Code::Protocol, format!("this is not a text: {why}")))?;
    let folder = folder().map_err(|why| Failure::io("there is no place for a copy of the text", &why))?;
    let copy = folder.path().join(file_name(&name));
    fs::write(&copy, opened.as_str()).map_err(at(&copy))?;

    let content = match edited(&copy, &opened).await {
        Ok(content) => content,
        Err(failure) => return Err(keep(folder, &copy, failure)),
    };
    let edit = opened.edited(&content);
    let is_unchanged = edit.is_empty();
    let request = request(edit);
    if is_unchanged {
        let length = content.chars().count();
        return output.answer(&request, &json!({ "changed": false, "length": length }));
    }
    let stopped = signal::stop()?;
    let answer = tokio::select! {
        answer = ask(home, &request) => answer,
        () = stopped => Err(Failure::new(Code::InDoubt, "stopped before it was known whether the text has changed")),
    };
    match answer {
        Ok(answer) => output.answer(&request, &answer),
        // It is written.
        Err(failure) if failure.code == Code::NotReplicated => Err(failure),
        Err(failure) => Err(keep(folder, &copy, failure)),
    }
}

/// A new folder for a copy, into which only this user can look.
fn folder() -> std::io::Result<TempDir> {
    let mut folder = tempfile::Builder::new();
    folder.prefix("tombolo-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        folder.permissions(fs::Permissions::from_mode(0o700));
    }
    folder.tempdir()
}

/// Runs the editor; what the copy reads then.
async fn edited(copy: &Path, opened: &TextSnapshot) -> Result<String> {
    let failed = |message| Failure::new(Code::Editor, message);
    let chosen = EDITORS.into_iter().find_map(|variable| {
        std::env::var(variable)
            .ok()
            .filter(|editor| !editor.trim().is_empty())
            .map(|editor| (variable, editor))
    });
    let (variable, line) = chosen.unwrap_or(("the default", EDITOR.to_owned()));
    let words = split(&line).map_err(|why| failed(format!("{variable}, `{line}`, is no command: {why}")))?;
    let Some((program, arguments)) = words.split_first() else {
        return Err(failed(format!("{variable}, `{line}`, is no command")));
    };
    // What it means is for the editor to say.
    signal::outlive_interrupts()?;
    let status = Command::new(program).args(arguments).arg(copy).status().await.map_err(|why| {
        failed(format!(
            "the editor `{line}` ({variable}) cannot be started: {why}; set VISUAL or EDITOR to another"
        ))
    })?;
    if !status.success() {
        return Err(failed(format!("the editor `{line}` failed ({status}), so the text stays as it was")));
    }
    let left = |why| Failure::io(format!("what the editor `{line}` left, {}", copy.display()), &why);
    let mut content = fs::read_to_string(copy).map_err(left)?;
    // Many editors end every file with one.
    let had_none = !opened.as_str().is_empty() && !opened.as_str().ends_with('\n');
    if had_none && content.ends_with('\n') {
        content.pop();
    }
    Ok(content)
}

/// Leaves the copy where it is, and says so, if it is there: an editor may have taken it away.
fn keep(folder: TempDir, copy: &Path, failure: Failure) -> Failure {
    if !copy.exists() {
        return failure;
    }
    let _ = folder.keep();
    let message = format!("{}; the copy is kept: {}", failure.message, copy.display());
    Failure::new(failure.code, message)
}

/// The copy is called as the text is, as far as files can be, so that editors know what is in it.
fn file_name(name: &Name) -> String {
    let last = name.inside().last().map_or(name.document(), String::as_str);
    let plain = |letter: char| {
        if letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_') { letter } else { '_' }
    };
    let name: String = last.trim_start_matches('.').chars().map(plain).take(MAX_FILE_NAME).collect();
    if name.is_empty() { "text".to_owned() } else { name }
}
