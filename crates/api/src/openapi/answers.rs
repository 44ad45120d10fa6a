//! Requests with their answers for the page: those of docs/rest.md, which a test runs, so each is what a collector answers.

const DOCUMENT: &str = include_str!("../../../../docs/rest.md");

/// A request as a line for a shell, and its answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answered<'d> {
    pub(super) request: String,
    pub(super) answer: &'d str,
}

/// The requests of docs/rest.md to an operation; `path` is a template such as `/senders/{sender}`.
pub(super) fn answered(method: &str, path: &str) -> Vec<Answered<'static>> {
    of(DOCUMENT, method, path)
}

fn of<'d>(document: &'d str, method: &str, path: &str) -> Vec<Answered<'d>> {
    // Each is a block for a shell, with the block of its answer after it.
    let blocks = document.split("\n```sh\n").skip(1);
    let pairs = blocks.filter_map(|block| {
        let (command, rest) = block.split_once("\n```\n")?;
        let answer = rest.strip_prefix("\n```json\n")?.split_once("\n```")?.0;
        let Request { method: asked, target, body } = Request::read(command)?;
        let is_asked = asked == method && matches(path, target.split('?').next()?);
        let body = body.map(|body| format!(" '{body}'")).unwrap_or_default();
        is_asked.then(|| Answered { request: format!("ask {asked} '{target}'{body}"), answer })
    });
    pairs.collect()
}

/// The request of a single curl.
struct Request<'c> {
    method: &'c str,
    target: &'c str,
    body: Option<&'c str>,
}

impl<'c> Request<'c> {
    /// `None` of a script, of a pipe, and of a request whose target is a variable.
    fn read(command: &'c str) -> Option<Self> {
        let options = command.strip_prefix("curl -sS ")?;
        if options.contains("curl ") || options.contains(" | ") || options.starts_with("-G ") {
            return None;
        }
        let method = options.split_once("-X ").map_or(Some("GET"), |(_, rest)| rest.split_whitespace().next())?;
        let target = options.split_once("\"$URL")?.1.split_once('"')?.0;
        let body = options.split_once("-d '").and_then(|(_, rest)| rest.split_once('\'')).map(|(body, _)| body);
        (!target.contains('$')).then_some(Self { method, target, body })
    }
}

/// Whether a path is one of a template.
fn matches(template: &str, path: &str) -> bool {
    let (mut expected, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (expected.next(), given.next()) {
            (None, None) => return true,
            (Some(expected), Some(given)) if expected == given || expected.starts_with('{') => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_belongs_to_its_operation() {
        let document = "\n```sh\ncurl -sS -X PUT -d '{\"tags\":[]}' \\\n  -H \"X-Io-Auth: $authKey\" \"$URL/senders/192.0.2.1\"\n```\n\n```json\n{}\n```\n";
        let expected = Answered { request: "ask PUT '/senders/192.0.2.1' '{\"tags\":[]}'".to_owned(), answer: "{}" };
        assert_eq!(of(document, "PUT", "/senders/{sender}"), [expected]);
        for (method, path) in [("GET", "/senders/{sender}"), ("PUT", "/senders"), ("PUT", "/stats/{sender}")] {
            assert_eq!(of(document, method, path), []);
        }
    }

    #[test]
    fn scripts_pipes_and_variables_are_no_examples() {
        for command in
            ["NONCE=$(curl -sS \"$URL/senders\")", "curl -sS \"$URL/senders\" | tail -n 1", "curl -sS \"$URL$2\""]
        {
            assert_eq!(
                of(&format!("\n```sh\n{command}\n```\n\n```json\n{{}}\n```\n"), "GET", "/senders"),
                [],
                "{command}"
            );
        }
    }
}
