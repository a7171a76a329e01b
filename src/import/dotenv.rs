//! Files of KEY=value lines, as shells and many libraries read them.

use super::secrets::{Content, Found, Source};
use zeroize::Zeroizing;

/// The variables of such a file. What is no variable is left out, by its line.
pub(crate) fn read(text: &str) -> Source {
    let mut source = Source::default();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 0;
    while !rest.is_empty() {
        line += 1;
        let (first, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let trimmed = first.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            rest = after;
            continue;
        }
        let begun = trimmed.strip_prefix("export ").unwrap_or(trimmed).trim_start();
        let Some((key, _)) = begun.split_once('=') else {
            source.leave_out(format!("line {line}"), "it has no =");
            rest = after;
            continue;
        };
        let key = key.trim_end();
        // Where the value begins in what is left.
        let start = first.find('=').map_or(first.len(), |equals| equals + 1);
        let value = rest.split_at(start).1;
        let (read, used) = value_of(value);
        let more = value.get(..used).unwrap_or(value).matches('\n').count();
        rest = value.get(used..).unwrap_or_default();
        rest = rest.split_once('\n').map_or("", |(_comment, after)| after);
        match read {
            // The text is not told: it may be a part of a secret.
            _ if !is_variable(key) => {
                source.leave_out(
                    format!("line {line}"),
                    "what stands before the = is no name of a variable",
                );
            }
            Err(why) => source.leave_out(key, format!("line {line}: {why}")),
            Ok(value) => {
                source.found.retain(|found| found.name != key);
                source.found.push(Found {
                    name: key.to_owned(),
                    content: Content::Read(value),
                    lasts: None,
                });
            }
        }
        line += more;
    }
    source
}

/// The value at the start of `text`, and how many bytes of it that takes, without its line end.
fn value_of(text: &str) -> (Result<Zeroizing<Vec<u8>>, &'static str>, usize) {
    let line = text.find('\n').unwrap_or(text.len());
    let blank = text.len() - text.trim_start_matches([' ', '\t']).len();
    let inner = text.get(blank + 1..).unwrap_or_default();
    match text.as_bytes().get(blank) {
        Some(b'\'') => match inner.find('\'') {
            Some(end) => closed(text, inner.as_bytes().get(..end), blank + end + 2),
            None => (Err("a quote is not closed"), line),
        },
        Some(b'"') => {
            let mut value = Zeroizing::new(Vec::with_capacity(inner.len()));
            let mut bytes = inner.bytes().enumerate();
            while let Some((place, byte)) = bytes.next() {
                match byte {
                    b'"' => return closed(text, Some(&value), blank + place + 2),
                    b'\\' => match bytes.next().map(|(_, byte)| byte) {
                        Some(b'n') => value.push(b'\n'),
                        Some(b'r') => value.push(b'\r'),
                        Some(b't') => value.push(b'\t'),
                        Some(byte @ (b'"' | b'\\' | b'$' | b'`')) => value.push(byte),
                        Some(byte) => value.extend([b'\\', byte]),
                        None => break,
                    },
                    byte => value.push(byte),
                }
            }
            (Err("a quote is not closed"), line)
        }
        Some(_) | None => {
            let value = text.get(..line).unwrap_or_default();
            let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
            let value = value.get(..end).unwrap_or_default().trim();
            (Ok(Zeroizing::new(value.as_bytes().to_vec())), line)
        }
    }
}

/// A quoted value, behind which nothing but a comment may stand.
fn closed(
    text: &str,
    value: Option<&[u8]>,
    used: usize,
) -> (Result<Zeroizing<Vec<u8>>, &'static str>, usize) {
    let behind = text.get(used..).unwrap_or_default();
    let behind = behind.split('\n').next().unwrap_or_default().trim();
    if behind.is_empty() || behind.starts_with('#') {
        (Ok(Zeroizing::new(value.unwrap_or_default().to_vec())), used)
    } else {
        (Err("something stands behind the quote"), used)
    }
}

fn is_variable(key: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    key.bytes().all(is_word) && key.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let value = |content: Content| match content {
            Content::Read(value) => String::from_utf8(value.to_vec()).unwrap(),
            Content::Sealed(_) => String::new(),
        };
        read(text).found.into_iter().map(|it| (it.name, value(it.content))).collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn values_are_plain_or_quoted_and_comments_are_none() {
        let text = "# a comment\n\nA=one\nexport B = two # comment\nC='a # b $x'\nD=\"x\\ny\\\"\" # c\nE=\nF=a#b\n";
        let expected = [
            pair("A", "one"),
            pair("B", "two"),
            pair("C", "a # b $x"),
            pair("D", "x\ny\""),
            pair("E", ""),
            pair("F", "a#b"),
        ];
        assert_eq!(pairs(text), expected);
    }

    #[test]
    fn a_double_quoted_value_may_go_over_lines_and_a_later_one_counts() {
        let text = "KEY=\"-----BEGIN\nabc\n-----END\"\nA=1\nA=2";
        assert_eq!(pairs(text), [pair("KEY", "-----BEGIN\nabc\n-----END"), pair("A", "2")]);
    }

    #[test]
    fn what_is_no_variable_is_left_out_by_its_line_and_not_by_its_text() {
        let text = "KEY=\"a\nb\"\nFOO; rm -rf x=1\n2A=1\nnothing\nB='open\nC=\"x\" y\nD=1\n";
        let source = read(text);
        let told = serde_json::to_string(&source.left_out).unwrap();
        for line in ["line 3", "line 4", "line 5", "line 6", "line 7"] {
            assert!(told.contains(line), "{line}: {told}");
        }
        assert!(!told.contains("rm -rf"), "{told}");
        assert_eq!(pairs(text), [pair("KEY", "a\nb"), pair("D", "1")]);
    }
}
