//! Holds what machines read against the schema that the program prints for it.
//!
//! The printed schema allows fields that a later version may add. Here it is read more strictly: a
//! field that it does not name fails the test, so that none is printed without being promised.

use payouts::output::schema;
use serde_json::Value;

/// Global flags whose value is the next word.
const TAKE_A_VALUE: [&str; 5] = [
    "-o",
    "--output",
    "--color",
    "--database-url",
    "--log-format",
];

/// Commands that write for people whatever format is asked for, or JSON that is a schema itself.
const EXEMPT: [&str; 2] = ["help json", "help"];

/// What a person may type instead.
const ALIASES: [(&str, &str); 1] = [("init", "migrate")];

/// Holds what `payouts` wrote to stdout when it was run with `args` against its schema, if that was
/// to be read by a machine.
///
/// # Panics
/// When it does not fit; the message names what and where. When the command has no schema.
#[track_caller]
pub(crate) fn check(args: &[&str], stdout: &str) {
    let format = format_of(args);
    if stdout.is_empty() || !["json", "ndjson"].contains(&format) || args.contains(&"--help") {
        return;
    }
    let Some(command) = command_of(args) else {
        panic!("no schema for what this prints: {args:?}");
    };
    if EXEMPT.contains(&command) {
        return;
    }
    let schema = schema::of(command).expect("a command that is listed has a schema");
    let (parts, root): (Vec<&str>, &Value) = if format == "ndjson" {
        (stdout.lines().collect(), &schema["$defs"][schema::LINE])
    } else {
        (vec![stdout], &schema)
    };
    for part in parts {
        let value = serde_json::from_str(part)
            .unwrap_or_else(|error| panic!("{args:?} printed no JSON: {error}\n{part}"));
        if let Some(misfit) = misfit(&schema, root, &value, "") {
            panic!("{args:?} printed what its schema does not allow: {misfit}\n{part}");
        }
    }
}

fn format_of<'a>(args: &[&'a str]) -> &'a str {
    let named = args.iter().find_map(|arg| {
        arg.strip_prefix("--output=")
            .or(arg.strip_prefix("-o").filter(|format| !format.is_empty()))
    });
    let next = args
        .windows(2)
        .find(|pair| ["-o", "--output"].contains(&pair[0]))
        .map(|pair| pair[1]);
    named.or(next).unwrap_or("table")
}

/// The command that `args` run: the longest that has a schema or is exempt.
fn command_of(args: &[&str]) -> Option<&'static str> {
    let mut words = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if TAKE_A_VALUE.contains(arg) {
            args.next();
        } else if !arg.starts_with('-') {
            let alias = ALIASES.iter().find(|(alias, _)| alias == arg);
            words.push(alias.map_or(*arg, |(_, command)| *command));
        }
    }
    (1..=words.len().min(2)).rev().find_map(|count| {
        let typed = words[..count].join(" ");
        schema::commands()
            .chain(EXEMPT)
            .find(|command| *command == typed)
    })
}

/// What of `value`, which stands `at` a pointer, does not fit the schema, if anything. It is a place
/// in `whole`, and reads the keywords that the program's schemas have; it refuses to guess at others.
fn misfit(whole: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    let keywords = schema.as_object().expect("a schema is an object");
    keywords
        .iter()
        .find_map(|(keyword, given)| match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "format" => None,
            "$ref" => {
                let pointer = given.as_str().and_then(|to| to.strip_prefix('#'));
                let definition = pointer.and_then(|pointer| whole.pointer(pointer));
                misfit(whole, definition.expect("it is defined"), value, at)
            }
            "anyOf" => {
                let tried: Option<Vec<String>> = texts(given, |one| misfit(whole, one, value, at));
                tried.map(|tried| tried.join("; or "))
            }
            "type" => {
                let of_type = |name: &Value| is_of_type(value, name);
                let fits = given
                    .as_array()
                    .map_or_else(|| of_type(given), |types| types.iter().any(of_type));
                (!fits).then(|| format!("{at}: {value} is no {given}"))
            }
            "const" => (value != given).then(|| format!("{at}: {value} is not {given}")),
            "minimum" => (value.as_i64() < given.as_i64() && value.is_number())
                .then(|| format!("{at}: {value} is less than {given}")),
            "maximum" => (value.as_i64() > given.as_i64() && value.is_number())
                .then(|| format!("{at}: {value} is more than {given}")),
            "items" => value
                .as_array()?
                .iter()
                .enumerate()
                .find_map(|(index, item)| misfit(whole, given, item, &format!("{at}/{index}"))),
            "required" => {
                let missing =
                    |name: &&Value| value.get(name.as_str().unwrap_or_default()).is_none();
                let name = given.as_array()?.iter().find(missing)?;
                value
                    .is_object()
                    .then(|| format!("{at}: {name} is missing"))
            }
            "properties" => {
                value
                    .as_object()?
                    .iter()
                    .find_map(|(name, member)| match given.get(name) {
                        Some(property) => misfit(whole, property, member, &format!("{at}/{name}")),
                        None => Some(format!("{at}: {name:?} is not promised")),
                    })
            }
            other => panic!("a schema has a keyword that is not understood here: {other}"),
        })
}

/// Why each of some schemas does not fit; `None` when one does.
fn texts(schemas: &Value, why: impl Fn(&Value) -> Option<String>) -> Option<Vec<String>> {
    let schemas = schemas.as_array().expect("a list of schemas");
    schemas.iter().map(why).collect()
}

fn is_of_type(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap_or_default() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("a schema has a type that is not understood here: {other}"),
    }
}

mod tests {
    use serde_json::json;

    use super::*;

    /// An object of `payouts help exit-codes`, with another `value` at `pointer`.
    fn changed(pointer: &str, value: Value) -> String {
        let mut answer = json!({"schema": 1, "exit_codes": [{"code": 0, "meaning": "done"}]});
        *answer.pointer_mut(pointer).expect("the place exists") = value;
        answer.to_string()
    }

    fn read(answer: &str) {
        check(&["help", "exit-codes", "-o", "json"], answer);
    }

    #[test]
    fn what_fits_is_let_through() {
        read(&changed("/schema", 1.into()));
        check(
            &["--output=ndjson", "help", "exit-codes"],
            "{\"code\":0,\"meaning\":\"done\"}\n",
        );
        check(&["list"], "no JSON was asked for");
    }

    #[test]
    #[should_panic(expected = "/exit_codes/0: \"meaning\" is missing")]
    fn a_field_that_is_missing_is_named() {
        read(&changed("/exit_codes/0", json!({"code": 0})));
    }

    #[test]
    #[should_panic(expected = "/exit_codes/0: \"more\" is not promised")]
    fn a_field_that_nobody_promised_is_named() {
        let more = json!({"code": 0, "meaning": "done", "more": 1});
        read(&changed("/exit_codes/0", more));
    }

    #[test]
    #[should_panic(expected = "/exit_codes/0/code: \"0\" is no \"integer\"")]
    fn a_value_of_another_type_is_named() {
        read(&changed("/exit_codes/0/code", "0".into()));
    }

    #[test]
    #[should_panic(expected = "/schema: 2 is not 1")]
    fn another_version_is_named() {
        read(&changed("/schema", 2.into()));
    }

    #[test]
    #[should_panic(expected = "/code: null is no \"integer\"")]
    fn a_line_is_held_against_the_row() {
        check(
            &["help", "exit-codes", "-o", "ndjson"],
            "{\"code\":null,\"meaning\":\"done\"}\n",
        );
    }

    #[test]
    #[should_panic(expected = "no schema for what this prints")]
    fn a_command_without_a_schema_is_named() {
        check(&["demo", "-o", "json"], "{}");
    }
}
