//! Asking a human by plain file I/O: `.ward/last-denial`, `.ward/requests`, and the answers in them.

mod hostile;
mod request_files;
mod shell;
