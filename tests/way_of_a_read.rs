//! The way of a read, on a real mount: who gets bytes, who waits, and what is recorded.

mod approval;
mod guards;
mod holders;
mod lease;
mod opening;
mod record;
mod visibility;
