//! Agents: a name that the kernel vouches for, in all that a command starts.

mod end;
mod names;
mod scripts;
mod ways;
