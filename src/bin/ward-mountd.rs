//! The daemon of wardfs; `ward` starts it. All of it is in the crate `ward-mountd`.

fn main() -> std::process::ExitCode {
    ward_mountd::main()
}
