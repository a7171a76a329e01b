//! Secrets as commands store them: never overwritten by mistake, with an end.

mod expiry;
mod grants;
mod state;
mod storing;
mod usual_end;
