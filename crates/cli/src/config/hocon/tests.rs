use super::*;

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

/// What a text sets, as lines of JSON.
fn settings(text: &str) -> Vec<String> {
    fn shown(value: &Content) -> String {
        match value {
            Content::Text(text) => format!("{text:?}"),
            Content::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        }
    }
    let document = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    document.settings.iter().map(|setting| format!("{} = {}", setting.path, shown(&setting.value))).collect()
}

fn message(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn objects_paths_comments_and_all_strings_are_read() {
    let file = r#"
# a comment
// another
server { cores = 4, statuslog = 10 seconds } // here
admin.authKey = "a\"b\\A#" # there
admin : {
  signKey : """raw "quoted" \n"""
}
netflow {
  listen = [ "0.0.0.0:2055", # one
    "[::1]:2055"
    other, ]
  "calculateSamples" = yes
}
empty {}
redis.hosts =
  [a.example]
"#;
    assert_eq!(
        settings(file),
        [
            r#"server.cores = "4""#,
            r#"server.statuslog = "10 seconds""#,
            r#"admin.authKey = "a\"b\\A#""#,
            r#"admin.signKey = "raw \"quoted\" \\n""#,
            r#"netflow.listen = ["0.0.0.0:2055", "[::1]:2055", "other"]"#,
            r#"netflow.calculateSamples = "yes""#,
            r#"redis.hosts = ["a.example"]"#,
        ]
    );
    assert_eq!(settings("{ a = 1 }\n"), [r#"a = "1""#]);
    assert_eq!(settings("\u{feff}a = \"\"\r\nb = x y\r\n"), [r#"a = """#, r#"b = "x y""#]);
    assert_eq!(settings("a = \"\"\"x\"\"\"\"\nb = null\n"), [r#"a = "x\"""#]);
    assert!(settings("").is_empty() && settings("# nothing").is_empty());
}

#[test]
fn later_assignments_replace_values_and_add_to_objects_and_lists() {
    assert_eq!(settings("a { x = 1, y = 2 }\na { x = 3 }"), [r#"a.y = "2""#, r#"a.x = "3""#]);
    assert_eq!(settings("a = [1]\na += 2\na = ${a} [3] [4]"), [r#"a = ["1", "2", "3", "4"]"#]);
    assert_eq!(settings("a += 1"), [r#"a = ["1"]"#]);
}

#[test]
fn substitutions_have_the_last_value_of_the_file() {
    assert_eq!(
        settings("url = ${host}\":\"${port}\nhost = a\nhost = b\nport = 1"),
        [r#"url = "b:1""#, r#"host = "b""#, r#"port = "1""#]
    );
    let inherited = settings("base { x = 1, y = 2 }\nmore = ${base} { y = 3 }");
    assert_eq!(inherited, [r#"base.x = "1""#, r#"base.y = "2""#, r#"more.x = "1""#, r#"more.y = "3""#]);
}

#[test]
fn the_environment_is_named_and_not_read() {
    let document = parse("a = 1\na = ${?PATH}\nadmin {\n  authKey = ${HOME}\n}").unwrap();
    assert_eq!(document.settings, [Setting { path: "a".to_owned(), value: text("1"), line: 1 }]);
    let variable = |line, path: &str, variable: &str| (line, path.to_owned(), variable.to_owned());
    assert_eq!(document.variables, [variable(2, "a", "PATH"), variable(4, "admin.authKey", "HOME")]);
}

#[test]
fn includes_are_noted_and_not_followed() {
    let document =
        parse("include \"/etc/passwd\"\na { include required(file(\"b.conf\"))\n x = 1 }\nincluded = 1").unwrap();
    let include = |line, what: &str| (line, what.to_owned());
    assert_eq!(document.includes, [include(1, "\"/etc/passwd\""), include(2, "required(file(\"b.conf\"))")]);
    assert_eq!(document.settings.len(), 2);
}

#[test]
fn what_no_toml_file_has_is_recognised() {
    for text in ["a { b = 1 }", "a : 1", "a = 1 // x", "a = ${b}", "include \"x\"", "a += 1", "a = \"\"\"\"\"\"\""] {
        assert!(parse(text).unwrap().is_unmistakable, "{text}");
    }
    for text in ["a = 1", "a = [1, \"${b} { // : +=\"] # c // d", "a.b = \"x\"", ""] {
        assert!(!parse(text).unwrap().is_unmistakable, "{text}");
    }
}

#[test]
fn errors_have_their_place_and_nothing_of_the_text() {
    for (text, expected) in [
        ("a", "1:2: expected =, : or an object in braces"),
        ("[http]\nlisten = 1", "1:1: expected a key"),
        ("a = 1\nb = {", "2:6: expected a closing brace"),
        ("a = }", "1:5: expected a value"),
        ("a = \"secret", "1:12: the text in quotes does not end"),
        ("a = \"\"\"secret", "1:8: the text in quotes does not end"),
        ("a = \"\\x\"", "1:6: unknown letter after a backslash"),
        ("a = \"\\ud800\"", "1:6: unknown letter after a backslash"),
        ("a = \"\\", "1:6: unknown letter after a backslash"),
        ("a = [1 {}]", "1:8: expected a comma or the end of the list"),
        ("a = [{ b = 1 }]", "1:6: expected a text, a list or the end of the list"),
        ("a = [1,", "1:8: expected a text, a list or the end of the list"),
        ("a = 1 = 2", "1:7: expected the end of the line, a comma or a brace"),
        ("a = 1 }", "1:7: expected a key"),
        ("a = ${b", "1:8: expected a closing brace"),
        ("a = x [1]", "1:1: a text and a list cannot be joined"),
        ("a = ${b}\nb = ${a}", "2:1: the substitutions refer to each other"),
    ] {
        assert_eq!(message(text), expected, "{text}");
    }
}

#[test]
fn hostile_files_are_refused_with_bounded_work() {
    assert!(message(&"a{".repeat(100_000)).ends_with("too many objects and lists in each other"));
    assert!(message(&format!("a = {}", "[".repeat(100_000))).ends_with("too many objects and lists in each other"));
    assert!(message(&"a = 1\n".repeat(100_000)).ends_with("too many settings"));
    let doubling = |reference: &str| -> String {
        (0..15).map(|at| format!("a{at} = {}\n", reference.replace('X', &(at + 1).to_string()).repeat(10))).collect()
    };
    let long = doubling("${aX}") + "a15 = \"" + &"x".repeat(1_000) + "\"";
    assert!(message(&long).ends_with("the substitutions are too long"));
    assert!(message(&doubling("${?aX}")).ends_with("there are too many substitutions"));
    let many = doubling("${aX}") + "a15 = []";
    assert!(message(&many).contains("substitutions"), "{}", message(&many));
}

#[test]
fn mutated_files_are_read_or_refused() {
    let right =
        "a { b = ${?C} \"x\\u0041\" , l = [ 1, [2] ] }\ninclude file(\"x\")\nd += \"\"\"y\"\"\" // z\n# é\n".as_bytes();
    let mut random = testing::Random::new(11);
    for _ in 0..5_000 {
        let mut file = right.to_vec();
        for _ in 0..=random.below(6) {
            testing::mutate(&mut random, &mut file, right);
        }
        let Ok(text) = String::from_utf8(file) else { continue };
        let _ = parse(&text);
    }
}
