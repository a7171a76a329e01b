//! What the daemon attests about whoever asks, and what a policy makes of it.

mod facts;
mod programs;
