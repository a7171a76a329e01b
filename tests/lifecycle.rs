//! How mounts and the daemon live and end, and by which settings.

mod settings;
