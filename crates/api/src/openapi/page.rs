//! The OpenAPI document as one HTML page without scripts or external resources, with how to sign a request, and requests to try.
#![expect(clippy::indexing_slicing, reason = "a key that JSON does not have is null, and no panic")]

use std::fmt::{self, Write};

use serde_json::{Map, Value};

use super::answers::{Answered, answered};

/// The style sheet, in the page itself.
pub(super) const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
summary{cursor:pointer}h2{margin-top:2.5rem;border-bottom:1px solid #ccc}h2 code{font-size:1.1em}table{border-collapse:collapse;width:100%}\
table{margin:1rem 0}th,td{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #eee}\
code{font:0.95em ui-monospace,monospace}pre{overflow-x:auto;padding:.5rem;border:1px solid #8888}nav li{list-style:none}nav ul{padding:0}small{color:#666}\
@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8bf}th,td{border-color:#333}small{color:#999}}";

/// A function that signs requests, in the directory where the collector was started. A test runs it, and the requests below.
const SIGNING: &str = r#". data/keys; URL=http://127.0.0.1:8080
ask() { # METHOD PATH [BODY]
  curl -sS -X "$1" "$URL$2" -H "X-Io-Auth: $authKey" ${3:+-d "$3"} \
    -H "X-Io-Sign: $(printf %s "${3:-$authKey}" | openssl dgst -sha256 -hmac "$signKey")"
}"#;

/// The body of a request to try.
fn body(method: &str, path: &str) -> &'static str {
    match (method, path) {
        ("PUT", "/senders/{sender}") => r#"{"prefixes":[{"prefix":"172.16.1.0","prefixLen":24}],"tags":["edge"]}"#,
        ("DELETE", "/senders/{sender}") => r#"{"prefixes":[{"prefix":"172.16.1.0","prefixLen":24}]}"#,
        ("PUT", "/networks/{address}/{length}") => r#"{"name":"office","customer":"customer-a"}"#,
        ("POST", "/stats" | "/stats/{sender}") => r#"{"172.16.1.0/24":{"days":["2014-02-02"]}}"#,
        _ => "",
    }
}

/// A request to try, as a line for a shell; `None` for those of a browser's session.
fn example(method: &str, path: &str, operation: &Value) -> Option<String> {
    if path.starts_with("/session") {
        return None;
    }
    let (mut target, mut query) = (path.to_owned(), Vec::new());
    for parameter in array(&operation["parameters"]) {
        let (name, example) = (parameter["name"].as_str()?, &parameter["example"]);
        let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        if parameter["in"] == "path" {
            target = target.replace(&format!("{{{name}}}"), &example);
        } else if parameter["in"] == "query" && parameter["required"] == true {
            query.push(format!("{name}={example}"));
        }
    }
    let question = if query.is_empty() { "" } else { "?" };
    let target = format!("'{target}{question}{}'", query.join("&"));
    if operation["security"].is_array() && method == "GET" && path != "/" {
        return Some(format!("curl -sS \"$URL\"{target}"));
    }
    let body = body(method, path);
    Some(if body.is_empty() { format!("ask {method} {target}") } else { format!("ask {method} {target} '{body}'") })
}

/// The page of a document.
pub(super) fn render(document: &Value) -> Result<String, fmt::Error> {
    let mut page = String::new();
    let title = Text(&document["info"]["title"]);
    write!(page, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>")?;
    write!(page, "<style>{STYLE}</style></head>\n<body><h1>{title} {}</h1>", Text(&document["info"]["version"]))?;
    write!(page, "<p>{}</p>\n<nav><ul>", Text(&document["info"]["description"]))?;
    for (method, path, operation) in operations(document) {
        let id = Text(&operation["operationId"]);
        writeln!(page, "<li><a href=\"#{id}\"><code>{method} {}</code></a></li>", Escaped(path))?;
    }
    writeln!(page, "</ul></nav>\n<h2 id=\"signing\">How to sign a request</h2>")?;
    writeln!(
        page,
        "<p>In a shell, in the directory where the collector was started; <code>netflow curl METHOD PATH [BODY]</code> does the same.</p>"
    )?;
    writeln!(page, "<pre><code>{}</code></pre>", Escaped(SIGNING))?;
    for (method, path, operation) in operations(document) {
        write_operation(&mut page, &method, path, operation)?;
    }
    writeln!(page, "<h1>Schemas</h1>")?;
    for (name, schema) in object(&document["components"]["schemas"]) {
        write_schema(&mut page, name, schema)?;
    }
    writeln!(page, "</body></html>")?;
    Ok(page)
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &str, &Value)> {
    object(&document["paths"]).flat_map(|(path, methods)| {
        object(methods).map(move |(method, operation)| (method.to_uppercase(), path.as_str(), operation))
    })
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn write_operation(page: &mut String, method: &str, path: &str, operation: &Value) -> fmt::Result {
    let id = Text(&operation["operationId"]);
    writeln!(page, "<h2 id=\"{id}\"><code>{method} {}</code></h2>", Escaped(path))?;
    for text in [operation.get("summary"), operation.get("description")].into_iter().flatten() {
        writeln!(page, "<p>{}</p>", Text(text))?;
    }
    if operation["security"].is_array() {
        writeln!(page, "<p>Needs no credentials.</p>")?;
    }
    if let Some(example) = example(method, path, operation) {
        writeln!(page, "<pre class=\"example\"><code>{}</code></pre>", Escaped(&example))?;
    }
    write_answers(page, method, path)?;
    let mut parameters = array(&operation["parameters"]).peekable();
    if parameters.peek().is_some() {
        writeln!(page, "<table><tr><th>parameter<th>type<th>description<th>example")?;
        for parameter in parameters {
            let (name, place) = (Text(&parameter["name"]), Text(&parameter["in"]));
            let required = if parameter["required"] == true { ", required" } else { "" };
            let (kind, what) = (Type(&parameter["schema"]), Text(&parameter["description"]));
            write!(page, "<tr><td><code>{name}</code> <small>{place}{required}</small><td>{kind}<td>{what}<td>")?;
            writeln!(page, "<code>{}</code>", Text(&parameter["example"]))?;
        }
        writeln!(page, "</table>")?;
    }
    for (media, content) in object(&operation["requestBody"]["content"]) {
        writeln!(page, "<p>Body, {}: {}</p>", Escaped(media), Type(&content["schema"]))?;
    }
    writeln!(page, "<table><tr><th>status<th>description<th>body")?;
    for (status, response) in object(&operation["responses"]) {
        write!(page, "<tr><td>{}<td>{}<td>", Escaped(status), Text(&response["description"]))?;
        for (media, content) in object(&response["content"]) {
            write!(page, "{} <small>{}</small> ", Type(&content["schema"]), Escaped(media))?;
        }
    }
    writeln!(page, "</table>")
}

fn write_answers(page: &mut String, method: &str, path: &str) -> fmt::Result {
    for Answered { request, answer } in answered(method, path) {
        writeln!(page, "<details><summary>An answer</summary><pre><code>{}</code></pre>", Escaped(&request))?;
        writeln!(page, "<pre class=\"answer\"><code>{}</code></pre></details>", Escaped(answer))?;
    }
    Ok(())
}

fn write_schema(page: &mut String, name: &str, schema: &Value) -> fmt::Result {
    let name = Escaped(name);
    writeln!(page, "<h2 id=\"of-{name}\"><code>{name}</code></h2>\n<p>{}</p>", Text(&schema["description"]))?;
    let Some(properties) = schema.get("properties") else { return writeln!(page, "<p>{}</p>", Type(schema)) };
    writeln!(page, "<table><tr><th>key<th>type<th>what")?;
    for (key, property) in object(properties) {
        let is_required = array(&schema["required"]).any(|required| required == key);
        let optional = if is_required { "" } else { " <small>may be missing</small>" };
        let (key, kind, what) = (Escaped(key), Type(property), Text(&property["description"]));
        writeln!(page, "<tr><td><code>{key}</code>{optional}<td>{kind}<td>{what}")?;
    }
    writeln!(page, "</table>")
}

/// A schema in a word or two, with links to those that have a name.
struct Type<'v>(&'v Value);

impl fmt::Display for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.0;
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return write!(f, "<a href=\"#of-{0}\">{0}</a>", Escaped(name));
        }
        for choices in ["oneOf", "anyOf", "allOf"] {
            for (number, choice) in array(&schema[choices]).enumerate() {
                write!(f, "{}{}", if number > 0 { " or " } else { "" }, Type(choice))?;
            }
        }
        for (number, choice) in array(&schema["enum"]).enumerate() {
            write!(f, "{}<code>{}</code>", if number > 0 { " or " } else { "" }, Text(choice))?;
        }
        match &schema["type"] {
            Value::String(name) if name == "array" => write!(f, "list of {}", Type(&schema["items"])),
            Value::String(name) if name == "object" && schema["additionalProperties"].is_object() => {
                write!(f, "object of {}", Type(&schema["additionalProperties"]))
            }
            Value::String(_) if schema["enum"].is_array() => Ok(()),
            Value::String(name) => write!(f, "{}", Escaped(name)),
            Value::Array(names) => {
                let names: Vec<_> = names.iter().filter_map(Value::as_str).collect();
                write!(f, "{}", Escaped(&names.join(" or ")))
            }
            _ => Ok(()),
        }
    }
}

/// A value as text; nothing when there is none.
struct Text<'v>(&'v Value);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => Ok(()),
            Value::String(text) => Escaped(text).fmt(f),
            other => Escaped(&other.to_string()).fmt(f),
        }
    }
}

/// Text that cannot be mistaken for markup.
struct Escaped<'t>(&'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            letter => f.write_char(letter),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_document_cannot_become_markup() {
        let info = serde_json::json!({"info": {"title": "<script>", "version": "\"&"}});
        let page = render(&info).unwrap();
        assert!(page.contains("<h1>&lt;script&gt; &quot;&amp;</h1>"), "{page}");
        assert!(!page.contains("<script"));
    }
}
