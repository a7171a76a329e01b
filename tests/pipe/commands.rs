//! Commands that get a secret on their standard input.

use super::{ALLOWLIST, entries, program, root};
use crate::support::ward::Ended;

const PATH: &str = "/usr/bin:/bin";

#[test]
fn a_command_gets_every_byte_on_its_standard_input_and_the_log_names_it() {
    let root = root("[pipe]\nallow = [\"sha256sum\"]\n");
    root.ward(&["set", "bytes", "--stdin"]).given(b"a\0b\xff\n").succeed();
    let ward = root.ward(&["get", "bytes", "--pipe-to", "sha256sum"]).with("PATH", PATH);
    let sum = "5f6811c64741289e055e57cdb5175ba7b2c70524d7240d3a64f9f6502a992bdb";
    assert_eq!(ward.succeed(), format!("{sum}  -\n"));
    let opened = entries(&root, "file.open");
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0]["used"], "/usr/bin/sha256sum");
}

#[test]
fn a_way_to_a_program_of_thousands_of_bytes_is_cut_in_the_log() {
    let root = root("[pipe]\nallow = [\"true\"]\n");
    let path = format!("{}usr/bin", "/".repeat(3000));
    root.ward(&["get", "token", "--pipe-to", "true"]).with("PATH", &path).succeed();
    root.ward(&["get", "token", "--pipe-to", "cat"]).with("PATH", &path).run();
    for event in ["file.open", "refused"] {
        let used = entries(&root, event).pop().unwrap()["used"].as_str().unwrap().len();
        assert_eq!(used, 1024, "{event}");
    }
}

#[test]
fn nothing_is_piped_before_somebody_says_which_commands_may_get_a_secret() {
    let root = root("");
    for way in
        [["--pipe-to", "cat"], ["--pipe-to-args", "cat {secret}"], ["--pipe-to-file", "cat {file}"]]
    {
        let ended = root.ward(&["get", "token", way[0], way[1]]).with("PATH", PATH).run();
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(7), ""), "{ended:?}");
        assert!(ended.stderr.contains("secret piping is disabled"), "{ended:?}");
        assert!(ended.stderr.contains(ALLOWLIST), "the next step: {ended:?}");
    }
    let refused = entries(&root, "refused");
    assert_eq!((refused.len(), &refused[0]["used"]), (3, &"/usr/bin/cat".into()));
}

#[test]
fn the_environment_narrows_what_the_settings_allow_and_never_widens_it() {
    let silent = root("");
    let allowing = root("[pipe]\nallow = [\"cat\"]\n");
    let none = root("[pipe]\nallow = []\n");
    for (root, variable, status) in [
        (&silent, Some("cat"), 0),
        (&silent, Some("head,cat"), 0),
        (&silent, Some("head"), 7),
        (&allowing, None, 0),
        (&allowing, Some("cat"), 0),
        (&allowing, Some("head"), 7),
        (&none, Some("cat"), 7),
        (&none, None, 7),
    ] {
        for name in [ALLOWLIST, "GLOVES_GET_PIPE_ALLOWLIST"] {
            let mut ward = root.ward(&["get", "token", "--pipe-to", "cat"]).with("PATH", PATH);
            if let Some(value) = variable {
                ward = ward.with(name, value);
            }
            let ended = ward.run();
            assert_eq!(ended.status, Some(status), "{variable:?}: {ended:?}");
            let shown = if status == 0 { "hunter2" } else { "" };
            assert_eq!(ended.stdout, shown, "{variable:?}: {ended:?}");
            let is_named = ended.stderr.contains("pipe command 'cat' is not allowlisted");
            assert_eq!(is_named, status == 7, "{ended:?}");
        }
    }
}

#[test]
fn a_variable_that_is_empty_or_malformed_stops_the_command_and_is_named() {
    let root = root("[pipe]\nallow = [\"cat\"]\n");
    for (name, value) in [
        (ALLOWLIST, ""),
        ("GLOVES_GET_PIPE_ALLOWLIST", "cat,"),
        ("WARD_GET_PIPE_ARG_POLICY", "{}"),
        ("WARD_GET_PIPE_URL_POLICY", "cat"),
        ("GLOVES_GET_PIPE_URL_POLICY", ""),
    ] {
        let ward = root.ward(&["get", "token", "--pipe-to", "cat"]).with("PATH", PATH);
        let ended = ward.with(name, value).run();
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(7), ""), "{name}: {ended:?}");
        assert!(ended.stderr.contains(name), "{ended:?}");
    }
}

#[test]
fn a_command_is_a_bare_name_that_is_found_in_absolute_folders_of_the_path_only() {
    let root = root("[pipe]\nallow = [\"mine\", \"absent\"]\n");
    let folder = program(&root, "mine", "/bin/cat; echo \" by $0\"");
    let run = |command: &str, path: &str| -> Ended {
        let ward = root.ward(&["get", "token", "--pipe-to", command]).with("PATH", path);
        ward.within(folder.as_ref()).run()
    };
    let found = run("mine", &format!("relative:{folder}"));
    assert_eq!(found.stdout, format!("hunter2 by {folder}/mine\n"), "{found:?}");
    for (command, path) in [
        ("mine", ".:bin:"),
        ("mine", "/usr/bin"),
        ("absent", folder.as_str()),
        ("./mine", folder.as_str()),
        ("/usr/bin/cat", PATH),
        ("../bin/mine", folder.as_str()),
        ("..", PATH),
        ("", PATH),
        ("mine x", folder.as_str()),
        ("m\u{ef}ne", folder.as_str()),
    ] {
        let ended = run(command, path);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(7), ""), "{command}: {ended:?}");
    }
}

#[test]
fn it_ends_as_the_command_does_and_one_that_stops_reading_is_no_trouble() {
    let root = root("[pipe]\nallow = [\"early\", \"seven\", \"killed\"]\n");
    let large = vec![b'x'; 400_000];
    root.ward(&["set", "large", "--stdin"]).given(&large).succeed();
    program(&root, "early", "head -c 3");
    program(&root, "seven", "echo heard; echo words >&2; exit 7");
    let folder = program(&root, "killed", "kill -KILL $$");
    let path = format!("{folder}:{PATH}");
    for (command, status, stdout, stderr) in
        [("early", 0, "xxx", ""), ("seven", 7, "heard\n", "words\n"), ("killed", 137, "", "")]
    {
        let ended = root.ward(&["get", "large", "--pipe-to", command]).with("PATH", &path).run();
        let expected =
            Ended { status: Some(status), stdout: stdout.to_owned(), stderr: stderr.to_owned() };
        assert_eq!(ended, expected, "{command}");
    }
}

#[test]
fn a_pipe_gives_nothing_to_who_may_not_read_the_secret() {
    let root = root("[pipe]\nallow = [\"cat\"]\n");
    let ended = root.ward(&["get", "none", "--pipe-to", "cat"]).with("PATH", PATH).run();
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(5), ""), "{ended:?}");
}
