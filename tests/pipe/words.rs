//! Commands that get a secret as a word of their command line.

use super::{ALLOWLIST, entries, program, root};
use crate::support::http_server::{Reply, Server};
use crate::support::root::Root;
use crate::support::ward::Ended;

/// Shows its words, a line each, and what it reads.
const SHOW: &str = "printf '<%s>\\n' \"$@\"; cat";

fn get(root: &Root, template: &str, folder: &str) -> Ended {
    let path = format!("{folder}:/usr/bin:/bin");
    root.ward(&["get", "token", "--pipe-to-args", template]).with("PATH", path).run()
}

#[test]
fn words_are_those_of_the_template_with_the_secret_in_its_place_and_no_shell_reads_them() {
    let root = root("[pipe]\nallow = [\"show\"]\n");
    let folder = program(&root, "show", SHOW);
    let ended = get(&root, "show -u 'me:{secret}' \"$HOME `id` *\" a\\ b ''", &folder);
    assert_eq!(ended.stdout, "<-u>\n<me:hunter2>\n<$HOME `id` *>\n<a b>\n<>\n", "{ended:?}");
    assert_eq!(entries(&root, "file.open")[0]["used"], format!("{folder}/show"));
    let log = root.ward(&["--json", "audit", "show"]).succeed();
    assert!(!log.contains("hunter2") && !log.contains("{secret}"), "{log}");
}

#[test]
fn a_template_without_a_place_or_with_it_in_the_command_starts_nothing() {
    let root = root("[pipe]\nallow = [\"show\"]\n");
    let folder = program(&root, "show", SHOW);
    for template in [
        "show",
        "show {file}",
        "{secret} x",
        "show{secret} {secret}",
        "",
        "show '{secret}",
        "./show {secret}",
    ] {
        let ended = get(&root, template, &folder);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(7), ""), "{template}: {ended:?}");
    }
}

#[test]
fn a_secret_that_would_be_more_than_a_part_of_its_word_starts_nothing() {
    let root = root("[pipe]\nallow = [\"show\"]\n");
    let folder = program(&root, "show", SHOW);
    let words = ["get", "token", "--pipe-to-args", "show {secret}"];
    for (value, why) in [
        (&b"one\ntwo"[..], "secret contains control characters"),
        (b"\x1b[2J", "secret contains control characters"),
        (b"\xff\xfe", "no UTF-8 text"),
        (b"--delete-all", "take for an option"),
    ] {
        root.ward(&["set", "token", "--stdin", "--replace"]).given(value).succeed();
        let ended = root.ward(&words).with("PATH", format!("{folder}:/bin")).run();
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(7), ""), "{value:?}: {ended:?}");
        assert!(ended.stderr.contains(why) && ended.stderr.contains("--pipe-to"), "{ended:?}");
    }
    let ended = get(&root, "show x={secret}", &folder);
    assert_eq!(ended.stdout, "<x=--delete-all>\n", "within a word it is no option: {ended:?}");
}

#[test]
fn where_templates_are_named_no_other_is_run() {
    let by_file = root(
        "[pipe]\nallow = [\"show\"]\n[pipe.commands.show]\ntemplates = [\"show -u me:{secret} 'a b'\"]\n",
    );
    let by_variable = root("");
    let policy = r#"{"show": ["show -u me:{secret} 'a b'"]}"#;
    for (root, name) in
        [(&by_file, None), (&by_variable, Some("WARD")), (&by_variable, Some("GLOVES"))]
    {
        let folder = program(root, "show", SHOW);
        for (template, status) in [
            ("show  -u me:{secret} \"a b\"", 0),
            ("show -u me:{secret} a b", 7),
            ("show -u me:{secret}", 7),
            ("show -u me:{secret} 'a b' c", 7),
            ("show -u {secret} 'a b'", 7),
        ] {
            let mut ward = root.ward(&["get", "token", "--pipe-to-args", template]);
            ward = ward.with("PATH", format!("{folder}:/bin"));
            if let Some(name) = name {
                ward = ward.with(ALLOWLIST, "show");
                ward = ward.with(&format!("{name}_GET_PIPE_ARG_POLICY"), policy);
            }
            let ended = ward.run();
            assert_eq!(ended.status, Some(status), "{template}: {ended:?}");
        }
    }
}

#[test]
fn an_address_glued_to_an_option_or_reached_through_folders_is_refused_beside_a_good_one() {
    let root = root(
        "[pipe]\nallow = [\"curl\"]\n[pipe.commands.curl]\nrequire_url = true\n\
         url_prefixes = [\"https://api.example.com/v1/\"]\n",
    );
    let folder = program(&root, "curl", SHOW);
    let good = "curl -u me:{secret} https://api.example.com/v1/a";
    let ended = get(&root, good, &folder);
    let shown = "<--disable>\n<-u>\n<me:hunter2>\n<https://api.example.com/v1/a>\n";
    assert_eq!(ended.stdout, shown, "without its own settings: {ended:?}");
    for (evil, why) in [
        ("--url=https://evil.example/", "no prefix covers"),
        ("-Hhttps://evil.example/", "no prefix covers"),
        ("HTTPS://evil.example/", "no prefix covers"),
        ("evil.example", "no prefix covers"),
        ("https://api.example.com/v1/../../evil", "no prefix covers"),
        ("https://api.example.com/v1/%2e%2e/evil", "no prefix covers"),
        ("https://api.example.com:444/v1/", "no prefix covers"),
        ("https://me@api.example.com/v1/", "user name"),
        ("https:\\\\\\\\evil.example", "cannot be compared"),
        ("-xhttp://evil.example", "not run with"),
        ("-K /tmp/settings", "not run with"),
        ("--next evil.example", "not run with"),
        ("-d @/etc/passwd", "names a file"),
    ] {
        let ended = get(&root, &format!("{good} {evil}"), &folder);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(7), ""), "{evil}: {ended:?}");
        assert!(ended.stderr.contains(why), "{evil}: {ended:?}");
        assert!(!ended.stderr.contains("evil"), "the log has the same words: {ended:?}");
    }
    let none = get(&root, "curl -u me:{secret}", &folder);
    assert!(none.stderr.contains("no word of the command line is an address"), "{none:?}");
}

#[test]
fn addresses_that_a_variable_names_narrow_those_of_the_settings() {
    let root = root(
        "[pipe]\nallow = [\"curl\"]\n[pipe.commands.curl]\nurl_prefixes = [\"https://a.example/\"]\n",
    );
    let folder = program(&root, "curl", SHOW);
    let path = format!("{folder}:/bin");
    for (policy, address, status) in [
        (r#"{"curl": ["https://a.example/v1/"]}"#, "https://a.example/v1/x", 0),
        (r#"{"curl": ["https://a.example/v1/"]}"#, "https://a.example/v2/x", 7),
        (r#"{"curl": ["https://b.example/"]}"#, "https://b.example/", 7),
        (r#"{"wget": ["https://b.example/"]}"#, "https://a.example/v2/", 0),
    ] {
        let template = format!("curl -u me:{{secret}} {address}");
        let ward = root.ward(&["get", "token", "--pipe-to-args", &template]).with("PATH", &path);
        let ended = ward.with("GLOVES_GET_PIPE_URL_POLICY", policy).run();
        assert_eq!(ended.status, Some(status), "{policy} {address}: {ended:?}");
    }
}

#[test]
fn curl_itself_brings_the_secret_to_the_address_that_is_allowed_and_asks_no_proxy() {
    let server = Server::plain(|_| Reply::new(200, "healthy"));
    let address = format!("{}/health", server.address());
    let root = root(&format!(
        "[pipe]\nallow = [\"curl\"]\n[pipe.commands.curl]\nurl_prefixes = [\"{address}\"]\n"
    ));
    let template = format!("curl -sS -u ayush:{{secret}} {address}");
    let ward = root.ward(&["get", "token", "--pipe-to-args", &template]).with("PATH", "/usr/bin");
    let ended = ward.with("http_proxy", "http://127.0.0.1:1").run();
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), "healthy"), "{ended:?}");
    let authorization = server.asked()[0].header("authorization").map(str::to_owned);
    assert_eq!(authorization.as_deref(), Some("Basic YXl1c2g6aHVudGVyMg=="));
}

#[test]
fn no_variable_has_curl_ask_a_proxy_read_settings_or_write_down_its_keys() {
    let root = root("[pipe]\nallow = [\"curl\"]\n");
    let names = ["https_proxy", "ALL_PROXY", "CURL_HOME", "SSLKEYLOGFILE"];
    let shows: Vec<_> = names.iter().map(|name| format!("\"${{{name}-none}}\"")).collect();
    let folder = program(&root, "curl", &format!("echo {}", shows.join(" ")));
    let template = "curl -u me:{secret} https://a.example/";
    let ward = root.ward(&["get", "token", "--pipe-to-args", template]);
    let path = format!("{folder}:/bin");
    let ward = names.iter().fold(ward.with("PATH", &path), |ward, name| ward.with(name, "evil"));
    assert_eq!(ward.succeed(), "none none none none\n");
}
