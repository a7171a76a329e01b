//! Commands that read a secret themselves, from a mount that is there for them.

use super::{entries, program, root};
use crate::support::root::Root;
use crate::support::ward::Ended;

fn get(root: &Root, template: &str, folder: &str) -> Ended {
    let path = format!("{folder}:/usr/bin:/bin");
    root.ward(&["get", "token", "--pipe-to-file", template]).with("PATH", path).run()
}

#[test]
fn a_secret_that_a_command_reads_itself_is_in_no_argument_and_no_variable() {
    let root = root("[pipe]\nallow = [\"show\"]\n");
    let script = "tr '\\0' '\\n' </proc/$$/cmdline; tr '\\0' '\\n' </proc/$$/environ; cat \"$1\"";
    let folder = program(&root, "show", script);
    let ended = get(&root, "show {file}", &folder);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let (before, read) = ended.stdout.rsplit_once('\n').unwrap();
    assert_eq!(read, "hunter2");
    assert!(before.contains("/token") && !before.contains("hunter2"), "{before}");
    assert_eq!(root.mounts(), Vec::<String>::new(), "the mount ended with the command");
}

#[test]
fn who_reads_the_file_is_attested_and_in_the_log() {
    let root = root("[pipe]\nallow = [\"cat\"]\n");
    let ended = get(&root, "cat {file}", "/usr/bin");
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), "hunter2"), "{ended:?}");
    let opened = entries(&root, "file.open");
    assert_eq!(opened.len(), 1, "ward reads nothing itself: {opened:?}");
    let exe = opened[0]["actor"]["exe"].as_str().unwrap();
    assert!(exe.ends_with("/cat"), "{exe}");
}

#[test]
fn the_rules_of_command_lines_count_before_anything_is_mounted() {
    let root = root(
        "[pipe]\nallow = [\"curl\"]\n[pipe.commands.curl]\nurl_prefixes = [\"https://a.example/\"]\n",
    );
    let folder = program(&root, "curl", "printf '%s\\n' \"$@\"");
    let ended = get(&root, "curl -d @{file} https://a.example/x", &folder);
    assert!(ended.stdout.starts_with("--disable\n-d\n@/"), "{ended:?}");
    for template in [
        "curl -d @{file} https://b.example/x",
        "curl -d {secret} https://a.example/x",
        "curl -K {file} https://a.example/x",
        "cat {file}",
    ] {
        let ended = get(&root, template, &folder);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(7), ""), "{template}: {ended:?}");
    }
}
