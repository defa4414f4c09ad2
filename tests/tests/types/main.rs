//! Data types: laws, definitions that are independent of them, encodings, costs in dots.

mod blocks;
mod bugs;
mod codec;
mod golden;
mod laws;
mod list;
mod marks;
mod metadata;
mod oracle;
mod placed;
mod placed_oracle;
mod session;
mod slices;
mod small_scopes;
mod text;
mod text_forget;
mod typing;
