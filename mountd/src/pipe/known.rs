//! What is known of the command lines of curl and wget: which options take a word after them, which
//! words are addresses, and which options send a secret elsewhere or show it.

use super::settings::CommandName;

/// A command line as far as it has to be understood. An option that is not listed takes no word here, so
/// that the word after it counts as an address, and must be none of the options.
#[derive(Debug)]
pub(super) struct Grammar {
    name: &'static str,
    /// What it is always run with, first of all.
    first: &'static [&'static str],
    /// Letters of options that take a value.
    pub(super) letters: &'static str,
    /// Long options that take a value.
    pub(super) long: &'static [&'static str],
    /// Those of them whose value is an address.
    pub(super) addresses: &'static [&'static str],
    /// Those of them whose value names a file behind its first `@`, where it has no `=`.
    pub(super) files: &'static [&'static str],
    /// Long options that take no value, besides `--no-*`.
    pub(super) flags: &'static [&'static str],
    /// What it is not run with where addresses are looked at, unless `deny_options` says otherwise. A
    /// final `*` stands for anything, `@` for a value that names a file.
    pub(super) denied: &'static [&'static str],
}

const CURL: Grammar = Grammar {
    name: "curl",
    // No .curlrc.
    first: &["--disable"],
    letters: "AbcCdDeEFHKmoPQrtTuUwxXyYz",
    long: &[
        "--aws-sigv4",
        "--cacert",
        "--capath",
        "--cert",
        "--cert-type",
        "--ciphers",
        "--connect-timeout",
        "--cookie",
        "--cookie-jar",
        "--data",
        "--data-ascii",
        "--data-binary",
        "--data-raw",
        "--data-urlencode",
        "--dump-header",
        "--form",
        "--form-string",
        "--header",
        "--json",
        "--keepalive-time",
        "--key",
        "--key-type",
        "--limit-rate",
        "--max-filesize",
        "--max-time",
        "--netrc-file",
        "--oauth2-bearer",
        "--output",
        "--output-dir",
        "--pass",
        "--pinnedpubkey",
        "--proto",
        "--range",
        "--referer",
        "--request",
        "--retry",
        "--retry-delay",
        "--retry-max-time",
        "--time-cond",
        "--tls-max",
        "--upload-file",
        "--url",
        "--url-query",
        "--user",
        "--user-agent",
        "--write-out",
    ],
    addresses: &["--url"],
    files: &["--data-urlencode", "--url-query"],
    flags: &[
        "--anyauth",
        "--basic",
        "--compressed",
        "--create-dirs",
        "--digest",
        "--fail",
        "--fail-early",
        "--fail-with-body",
        "--get",
        "--globoff",
        "--head",
        "--http1.0",
        "--http1.1",
        "--http2",
        "--http3",
        "--include",
        "--insecure",
        "--ipv4",
        "--ipv6",
        "--junk-session-cookies",
        "--negotiate",
        "--netrc",
        "--netrc-optional",
        "--parallel",
        "--progress-bar",
        "--raw",
        "--remote-name",
        "--remote-time",
        "--remove-on-error",
        "--retry-all-errors",
        "--retry-connrefused",
        "--show-error",
        "--silent",
        "--ssl-reqd",
        "--tcp-nodelay",
        "--tlsv1.2",
        "--tlsv1.3",
        "--tr-encoding",
    ],
    denied: &[
        // Further settings, and further command lines.
        "-K",
        "--config",
        "-:",
        "--next",
        "--variable",
        "--expand-*",
        // Another peer, another path.
        "-x",
        "--proxy*",
        "--preproxy",
        "--socks*",
        "--connect-to",
        "--resolve",
        "--dns-*",
        "--doh-*",
        "--unix-socket",
        "--abstract-unix-socket",
        "--interface",
        "--haproxy-*",
        "--alt-svc",
        "--ipfs-gateway",
        "--proto-default",
        "--request-target",
        "--path-as-is",
        "-L",
        "--location*",
        "--follow",
        // What was sent, for others to see.
        "-v",
        "--verbose",
        "--trace*",
        "--libcurl",
        // Files that become a part of what is sent.
        "@",
    ],
};

const WGET: Grammar = Grammar {
    name: "wget",
    // No .wgetrc; and it takes headers along to where it is sent.
    first: &["--no-config", "--max-redirect=0"],
    letters: "aABDeiIloOPQRtTUwXn",
    long: &[
        "--body-data",
        "--body-file",
        "--ca-certificate",
        "--ca-directory",
        "--certificate",
        "--connect-timeout",
        "--directory-prefix",
        "--header",
        "--http-password",
        "--http-user",
        "--load-cookies",
        "--method",
        "--output-document",
        "--output-file",
        "--password",
        "--post-data",
        "--post-file",
        "--private-key",
        "--quota",
        "--read-timeout",
        "--referer",
        "--save-cookies",
        "--timeout",
        "--tries",
        "--user",
        "--user-agent",
        "--wait",
    ],
    addresses: &[],
    files: &[],
    flags: &[
        "--auth-no-challenge",
        "--content-disposition",
        "--content-on-error",
        "--continue",
        "--https-only",
        "--ignore-length",
        "--inet4-only",
        "--inet6-only",
        "--keep-session-cookies",
        "--quiet",
        "--retry-connrefused",
        "--server-response",
        "--show-progress",
        "--spider",
        "--timestamping",
        "--trust-server-names",
    ],
    denied: &[
        // Further settings.
        "-e",
        "--execute",
        "--config",
        "--use-askpass*",
        // Further addresses.
        "-i",
        "--input-*",
        "-B",
        "--base",
        "-r",
        "--recursive",
        "-m",
        "--mirror",
        "-p",
        "--page-requisites",
        "-H",
        "--span-hosts",
        "--max-redirect",
        "--preferred-location",
        // Another peer.
        "--proxy*",
        "--bind-*",
        "--dns-*",
        // What was sent, for others to see.
        "-d",
        "--debug",
        "--warc-*",
    ],
};

impl Grammar {
    /// That of a command, where it is known.
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        [&CURL, &WGET].into_iter().find(|grammar| grammar.name == name)
    }
}

/// The words that come before those of a template, so that no file of settings is read.
pub fn first_words(command: &CommandName) -> &'static [&'static str] {
    Grammar::of(command.as_str()).map_or(&[], |grammar| grammar.first)
}
