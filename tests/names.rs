//! The names of commands, of errors, of the program, and of who acts.

mod acting;
mod program;
mod sessions;
mod shown;
