//! Addresses: an `http` or `https` URL in the one form in which two can be compared, and prefixes of them.
//!
//! What two programs could read differently is no address: backslashes, user names before the host,
//! characters that RFC 3986 does not know, folders hidden behind `%2F`, `;` or two encodings.

use serde::{Deserialize, Serialize};
use std::net::Ipv6Addr;

/// A URL without its query and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    scheme: &'static str,
    /// Host in lower case, with the port when it is not that of the scheme.
    authority: String,
    /// As written, with percent-encoding in its one form.
    written: String,
    /// The same without `.` and `..`.
    resolved: String,
}

/// A URL that covers those below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlPrefix {
    text: String,
    address: Address,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// Of another scheme, or of none.
    #[error("it does not begin with http:// or https://")]
    Scheme,
    /// A character, or the encoding of one, that does not belong there.
    #[error("it has a character that no URL has")]
    Character,
    /// Before the host.
    #[error("it has a user name before its host")]
    UserInfo,
    /// Host or port.
    #[error("its host or port is none")]
    Authority,
    /// Readers of it may disagree.
    #[error("it has a folder `..` that can be read in two ways")]
    Ambiguous,
    /// Of a prefix.
    #[error("it has ? or #, or a folder `.` or `..`, which a prefix cannot have")]
    NotPrefix,
}

impl Address {
    /// Reads a whole URL.
    pub(super) fn parse(text: &str) -> Result<Self, AddressFault> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressFault::Scheme)?;
        let (scheme, default) = match scheme.to_ascii_lowercase().as_str() {
            "http" => ("http", 80),
            "https" => ("https", 443),
            _ => return Err(AddressFault::Scheme),
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (path, rest) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(AddressFault::UserInfo);
        }
        let authority = read_authority(authority, default)?;
        let written = read_encoded(if path.is_empty() { "/" } else { path })?;
        read_encoded(rest)?;
        let resolved = resolve(&written)?;
        Ok(Self { scheme, authority, written, resolved })
    }
}

impl UrlPrefix {
    /// Whether `address` is this one or below it, before and after `..` is resolved.
    pub(super) fn covers(&self, address: &Address) -> bool {
        let Address { scheme, authority, resolved: prefix, .. } = &self.address;
        let is_below = |path: &str| {
            let rest = path.strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/')
            })
        };
        *scheme == address.scheme
            && *authority == address.authority
            && is_below(&address.written)
            && is_below(&address.resolved)
    }
}

impl TryFrom<String> for UrlPrefix {
    type Error = AddressFault;

    fn try_from(text: String) -> Result<Self, AddressFault> {
        let address = Address::parse(&text)?;
        if text.contains(['?', '#']) || address.written != address.resolved {
            return Err(AddressFault::NotPrefix);
        }
        Ok(Self { text, address })
    }
}

impl From<UrlPrefix> for String {
    fn from(prefix: UrlPrefix) -> Self {
        prefix.text
    }
}

/// Host and port in their one form.
fn read_authority(text: &str, default: u16) -> Result<String, AddressFault> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => {
            let host: Ipv6Addr = host.parse().map_err(|_| AddressFault::Authority)?;
            (format!("[{host}]"), port)
        }
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
            let is_part = |part: &str| {
                let mut bytes = part.bytes();
                !part.is_empty()
                    && bytes.all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it))
            };
            if !host.split('.').all(is_part) {
                return Err(AddressFault::Authority);
            }
            (host, port)
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => default,
        Some("") => default,
        Some(digits) if digits.bytes().all(|it| it.is_ascii_digit()) => {
            digits.parse().map_err(|_| AddressFault::Authority)?
        }
        Some(_) | None => return Err(AddressFault::Authority),
    };
    Ok(if port == default { host } else { format!("{host}:{port}") })
}

/// A path, query or fragment with every percent-encoding in its one form (RFC 3986, 6.2.2).
fn read_encoded(text: &str) -> Result<String, AddressFault> {
    let mut read = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            let is_known =
                character.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/?#".contains(character);
            if !is_known {
                return Err(AddressFault::Character);
            }
            read.push(character);
            continue;
        }
        let mut digit = || characters.next().and_then(|it| it.to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(AddressFault::Character);
        };
        let byte = u8::try_from(high * 16 + low).map_err(|_| AddressFault::Character)?;
        match byte {
            0..=0x1f | 0x7f => return Err(AddressFault::Character),
            b'-' | b'.' | b'_' | b'~' => read.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => read.push(char::from(byte)),
            byte => read.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(read)
}

/// A path without `.` and `..` (RFC 3986, 5.2.4); none when readers could disagree about it.
fn resolve(path: &str) -> Result<String, AddressFault> {
    let is_dots = |part: &str| matches!(part, "." | "..");
    let mut folders: Vec<&str> = Vec::new();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let upper = path.to_ascii_uppercase();
    if ["%252E", "%252F", "%255C"].iter().any(|twice| upper.contains(twice)) {
        return Err(AddressFault::Ambiguous);
    }
    let (last, inner) = parts.split_last().unwrap_or((&"", &[]));
    if parts.contains(&"..") && inner.contains(&"") {
        // Who takes two slashes for one comes out elsewhere.
        return Err(AddressFault::Ambiguous);
    }
    for part in &parts {
        // What some servers take for the end of a folder, or of its name.
        let plain =
            ["%2F", "%5C", "%3B"].iter().fold((*part).to_owned(), |it, end| it.replace(end, ";"));
        if !is_dots(part) && plain.split(';').any(is_dots) {
            return Err(AddressFault::Ambiguous);
        }
        match *part {
            "." => {}
            ".." => {
                folders.pop();
            }
            part => folders.push(part),
        }
    }
    let end = if is_dots(last) && !folders.is_empty() { "/" } else { "" };
    Ok(format!("/{}{end}", folders.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(prefix: &str, text: &str) -> bool {
        let prefix = UrlPrefix::try_from(prefix.to_owned()).unwrap();
        Address::parse(text).is_ok_and(|address| prefix.covers(&address))
    }

    #[test]
    fn an_address_is_compared_in_its_one_form() {
        let prefix = "https://api.example.com/v1/";
        for text in [
            "https://api.example.com/v1/",
            "HTTPS://API.Example.COM:443/v1/users?x=..#/../",
            "https://api.example.com./v1/a",
            "https://api.example.com:/v1/a",
            "https://api.example.com/v1/a/./b/../c",
            "https://api.example.com/%76%31/a",
            "https://api.example.com/v1/a%2Fb",
            "https://api.example.com/v1/a/%2e%2E/b",
        ] {
            assert!(covers(prefix, text), "{text}");
        }
    }

    #[test]
    fn what_leaves_the_prefix_in_any_reading_is_not_covered() {
        let prefix = "https://api.example.com/v1/";
        for text in [
            "http://api.example.com/v1/",
            "https://api.example.com/v1",
            "https://api.example.com/v10/",
            "https://api.example.com/V1/",
            "https://api.example.com:8443/v1/",
            "https://api.example.com.evil.example/v1/",
            "https://evil.example/https://api.example.com/v1/",
            "https://api.example.com@evil.example/v1/",
            "https://u:p@api.example.com/v1/",
            "https://api.example.com\\@evil.example/v1/",
            "https:\\\\api.example.com/v1/",
            "https:/api.example.com/v1/",
            "https:///api.example.com/v1/",
            "https://api.example.com/v1/../../evil",
            "https://api.example.com/v1/..",
            "https://api.example.com/v1/%2e%2e/evil",
            "https://api.example.com/v1/.%2E/evil",
            "https://api.example.com/v1/..%2fevil",
            "https://api.example.com/v1/a%2f..%2f..%2fevil",
            "https://api.example.com/v1/..%5cevil",
            "https://api.example.com/v1/..;/evil",
            "https://api.example.com/v1/%252e%252e/evil",
            "https://api.example.com/v1//../evil",
            "https://api.example.com/x/../v1/a",
            "https://api.example.com/v1/a\tb",
            "https://api.example.com/v1/a b",
            "https://api.example.com/v1/{a,b}",
            "https://api.example.com/v1/%",
            "https://api.example.com/v1/%00",
            "https://api.example.com/v1/\u{e4}",
            "https://\u{ff41}pi.example.com/v1/",
            "https://%61pi.example.com/v1/",
            "https://api.example.com..//v1/",
            "https://api.example.com:443:80/v1/",
            "https://api.example.com:+443/v1/",
            "ftp://api.example.com/v1/",
        ] {
            assert!(!covers(prefix, text), "{text}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_part_of_the_path() {
        let prefix = "http://internal.example.local/health";
        for text in ["", "/", "/x", "?deep=1", "#x"] {
            assert!(covers(prefix, &format!("{prefix}{text}")), "{text}");
        }
        for text in ["y", "-y", "%20", ";x"] {
            assert!(!covers(prefix, &format!("{prefix}{text}")), "{text}");
        }
        assert!(covers("https://a.example", "https://a.example/x"));
        assert!(covers("http://[::1]:8080/", "http://[0:0::1]:08080/x"));
        assert!(!covers("http://127.0.0.1/", "http://2130706433/"));
    }
}
