//! Templates of tools, each with the real program where this machine has it: it reads its secret from
//! the mount, by the rule of its template, and who else reads it is refused.

use crate::support::person::Person;
use crate::support::stage::{HOLD, Stage};
use crate::support::users::{self, STRANGER};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

/// A tool: its template, its secret and what is in it, and a line of the shell that uses `$SECRET`.
struct Tool {
    name: &'static str,
    secret: &'static str,
    content: &'static str,
    program: &'static str,
    line: &'static str,
    /// What it prints; nothing where it would need somebody to talk to.
    prints: &'static str,
}

const KUBE: &str = "apiVersion: v1\nkind: Config\ncurrent-context: there\ncontexts:\n\
    - name: there\n  context: {cluster: c, user: u}\nclusters: []\nusers: []\n";
const TOOLS: [Tool; 8] = [
    Tool {
        name: "aws",
        secret: "aws/credentials",
        content: "[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = s3cret\n",
        program: "/usr/bin/aws",
        line: "AWS_SHARED_CREDENTIALS_FILE=$SECRET $RUN /usr/bin/aws configure get aws_access_key_id",
        prints: "AKIAEXAMPLE",
    },
    Tool {
        name: "git",
        secret: "git/credentials",
        content: "https://ann:s3cret@example.org\n",
        program: "git",
        line: "printf 'protocol=https\\nhost=example.org\\n\\n' | git credential-store --file $SECRET get",
        prints: "password=s3cret",
    },
    Tool {
        name: "psql",
        secret: "psql/pgpass",
        content: "*:*:*:*:s3cret\n",
        program: "psql",
        line: "PGPASSFILE=$SECRET psql -h 127.0.0.1 -p 1 -U ann db",
        prints: "",
    },
    Tool {
        name: "kube",
        secret: "kube/config",
        content: KUBE,
        program: "kubectl",
        line: "KUBECONFIG=$SECRET kubectl config current-context",
        prints: "there",
    },
    Tool {
        name: "docker",
        secret: "docker/config.json",
        content: "{\"auths\":{\"example.org\":{\"auth\":\"YTpi\"}}}",
        program: "docker",
        line: "docker --config $(dirname $SECRET) -H unix:///nowhere ps",
        prints: "",
    },
    Tool {
        name: "npm",
        secret: "npm/npmrc",
        content: "//registry.npmjs.org/:_authToken=s3cret\nfund=false\n",
        program: "npm",
        line: "NPM_CONFIG_USERCONFIG=$SECRET npm_config_cache=/nowhere $RUN npm config get fund",
        prints: "false",
    },
    Tool {
        name: "gh",
        secret: "gh/hosts.yml",
        content: "github.com:\n    oauth_token: s3cret\n    user: ann\n",
        program: "gh",
        line: "GH_CONFIG_DIR=$(dirname $SECRET) gh auth token",
        prints: "s3cret",
    },
    Tool {
        name: "ssh",
        secret: "ssh/id_ed25519",
        content: "",
        program: "ssh-keygen",
        line: "ssh-keygen -y -f $SECRET",
        prints: "ssh-ed25519 ",
    },
];

#[test]
fn each_tool_reads_its_secret_by_its_template_and_nobody_else_does() {
    let starts = "\n[[rule]]\nname = \"starts\"\nclients = [\"stranger\"]\nops = [\"agent.run\"]\n\
        path = [\"aws\", \"npm\"]\ndecide = \"allow\"\n";
    let Some(stage) = Stage::with(HOLD, starts) else { return };
    let policy = stage.root().path().join("policy.toml");
    for Tool { name, .. } in TOOLS {
        stage
            .root()
            .ward(&["policy", "template", name, "--into", policy.to_str().unwrap()])
            .succeed();
    }
    stage.root().ward(&["policy", "reload"]).succeed();
    let key = private_key(stage.root().directory());
    let mut stranger = Person::of(STRANGER);
    let mut used = 0;
    for tool in TOOLS {
        let Tool { name, secret, content, program, line, prints } = tool;
        if !has(program) {
            eprintln!("skipped: {program} is not on this machine");
            continue;
        }
        let path = stage.secret(secret, if content.is_empty() { &key } else { content });
        assert_eq!(stranger.reads(&path), Err("ENOENT".to_owned()), "{name}: without the tool");
        let run =
            format!("{} --root {} run --agent {name} --", ward(), stage.root().path().display());
        let home = users::folder(STRANGER);
        let output = Command::new("/usr/sbin/runuser")
            .args(["-u", STRANGER, "--", "/bin/sh", "-c", line])
            .env("SECRET", &path)
            .env("RUN", run)
            .env("HOME", home.path())
            .current_dir(home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains(prints), "{name}: {output:?}");
        let opened = stage.log_of("file.open", secret);
        let rule = format!("{name}-reads-its-secret");
        let by_template = |entry: &serde_json::Value| entry["rules"][0] == *rule;
        assert!(opened.iter().any(by_template), "{name}: {output:?}\n{opened:?}");
        used += 1;
    }
    assert!(used > 0, "none of the tools is here");
}

/// `claude` takes its key from a command: what arrives where it sends its questions is what was read.
#[test]
fn claude_sends_the_key_that_it_reads_by_its_template() {
    if !has("claude") {
        eprintln!("skipped: claude is not on this machine");
        return;
    }
    let starts = "\n[[rule]]\nname = \"starts\"\nclients = [\"stranger\"]\nops = [\"agent.run\"]\n\
        path = [\"claude\"]\ndecide = \"allow\"\n";
    let Some(stage) = Stage::with(HOLD, starts) else { return };
    let policy = stage.root().path().join("policy.toml");
    let into = ["policy", "template", "claude", "--into", policy.to_str().unwrap()];
    stage.root().ward(&into).succeed();
    stage.root().ward(&["policy", "reload"]).succeed();
    let path = stage.secret("claude/api-key", "key-0123456789");
    assert_eq!(Person::of(STRANGER).reads(&path), Err("ENOENT".to_owned()), "without claude");
    let home = users::folder(STRANGER);
    let settings = format!("{{\"apiKeyHelper\": \"cat {path}\"}}");
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", service.local_addr().unwrap());
    let root = stage.root().path().to_str().unwrap().to_owned();
    let command = [ward(), "--root", &root, "run", "--agent", "claude", "--"];
    let claude = ["claude", "--settings", &settings, "--print", "hi"];
    let mut child = Command::new("/usr/sbin/runuser")
        .args(["-u", STRANGER, "--"])
        .args(command.iter().chain(&claude))
        .env("ANTHROPIC_BASE_URL", address)
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("HOME", home.path())
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let key = service.incoming().find_map(|asked| key_of(asked.unwrap()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(key.as_deref(), Some("key-0123456789"));
    let opened = stage.log_of("file.open", "claude/api-key");
    assert!(opened.iter().any(|entry| entry["rules"][0] == "claude-reads-its-secret"));
}

/// The key that a request brings; requests without one are answered with nothing.
fn key_of(stream: TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut head = lines.by_ref().take_while(|line| !line.is_empty());
    head.find_map(|line| line.to_lowercase().strip_prefix("x-api-key: ").map(str::to_owned))
}

fn ward() -> &'static str {
    env!("CARGO_BIN_EXE_ward")
}

fn has(program: &str) -> bool {
    let found = Command::new("/bin/sh").args(["-c", &format!("command -v {program}")]).output();
    found.is_ok_and(|output| output.status.success())
}

fn private_key(folder: &Path) -> String {
    let file = folder.join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", file.to_str().unwrap()])
        .status();
    match made {
        Ok(status) if status.success() => std::fs::read_to_string(&file).unwrap(),
        _ => String::new(),
    }
}
