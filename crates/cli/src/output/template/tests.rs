//! Templates against what Go prints.
//! The expected texts were compared with docker's for the cases that docker can show.

use super::*;
use proptest::prelude::*;
use serde_json::json;

struct Inspect;

impl Shape for Inspect {
    fn kind(&self, field: &str) -> Kind {
        match field {
            "Labels" | "LogConfig.Config" | "Ports" => Kind::Map,
            "Health" | "Limit" => Kind::Pointer,
            "Cmd" => Kind::Slice,
            _ => Kind::Struct,
        }
    }

    fn omitted(&self, field: &str) -> Option<Kind> {
        (field == "State.Health").then_some(Kind::Pointer)
    }

    fn method(&self, name: &str, arguments: &[&Value]) -> Option<Result<Value, String>> {
        (name == "Label").then(|| match arguments {
            [Value::String(key)] => Ok(json!(format!("<{key}>"))),
            _ => Err("wrong number of args for Label: want 1 got 0".to_owned()),
        })
    }

    fn missing(&self, field: &str) -> String {
        format!("map has no entry for key {field:?}")
    }
}

fn data() -> Value {
    json!({
        "Name": "/c1", "Count": 3, "Ratio": 1.5, "On": true, "Off": false, "Limit": null, "Cmd": null,
        "State": {"Status": "running", "Pid": 7},
        "Labels": {"b": "2", "a": "1"},
        "LogConfig": {"Type": "json-file", "Config": {}},
        "Args": ["x", "y z"],
        "Mounts": [{"Type": "bind", "RW": true}, {"Type": "volume", "RW": false}],
        "Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "90/tcp": null},
        "Html": "<a&b>",
    })
}

fn run(source: &str) -> Result<String, String> {
    let mut out = String::new();
    Template::parse(source)?.run(&data(), &Inspect, &mut out)?;
    Ok(out)
}

#[test]
fn output() {
    for (source, want) in [
        ("{{.Name}} {{.State.Status}}", "/c1 running"),
        (
            "{{.Count}} {{.Ratio}} {{.On}} {{.Args}} {{.Labels}} {{.State}}",
            "3 1.5 true [x y z] map[a:1 b:2] {running 7}",
        ),
        ("{{.Limit}} {{.Cmd}} {{.State.Health}} {{.Labels.c}}", "<nil> [] <nil> <no value>"),
        (
            "{{json .Args}} {{json .Cmd}} {{json .State}} {{json .Html}}",
            r#"["x","y z"] null {"Status":"running","Pid":7} "<a&b>""#,
        ),
        ("{{range .Mounts}}{{.Type}};{{end}}", "bind;volume;"),
        (
            "{{range $i, $m := .Mounts}}{{$i}}={{$m.Type}}{{if $m.RW}}!{{end}} {{$.Name}},{{end}}",
            "0=bind! /c1,1=volume /c1,",
        ),
        ("{{range $k, $v := .Labels}}{{$k}}:{{$v}} {{end}}", "a:1 b:2 "),
        ("{{range .Cmd}}x{{else}}none{{end}}", "none"),
        ("{{range .Args}}{{if eq . \"x\"}}{{continue}}{{end}}{{.}}{{break}}{{end}}", "y z"),
        ("{{if .Off}}a{{else if .On}}b{{else}}c{{end}}", "b"),
        ("{{with .State}}{{.Pid}}{{end}}{{with .Limit}}x{{else}}no{{end}}", "7no"),
        ("{{index .Labels \"a\"}}{{index .Args 1}}{{index .Labels \"zz\"}}", "1y z"),
        ("{{(index (index .Ports \"80/tcp\") 0).HostPort}}", "8080"),
        ("{{range $p, $c := .Ports}}{{$p}} -> {{(index $c 0).HostPort}} {{break}}{{end}}", "80/tcp -> 8080 "),
        ("{{join .Args \",\"}} {{upper .Name}} {{lower \"AB\"}} {{title \"ab cd\"}}", "x,y z /C1 ab Ab Cd"),
        ("{{pad .Name 1 2}}| {{truncate .Name 2}} {{split \"a.b\" \".\"}}", " /c1  | /c [a b]"),
        (
            "{{.Name | printf \"%-6s|%5d|%q|%x|%t|%.2f|%%\" }}",
            "/c1   |%!d(MISSING)|%!q(MISSING)|%!x(MISSING)|%!t(MISSING)|%!f(MISSING)|%",
        ),
        (
            "{{printf \"%-6s|%5d|%05d|%q|%x|%X|%t|%.2f|%v|%5s\" .Name .Count .Count .Name .Count \"hi\" .On .Ratio .Args \"a\"}}",
            "/c1   |    3|00003|\"/c1\"|3|6869|true|1.50|[x y z]|    a",
        ),
        ("{{println \"a\" 1}}{{print \"a\" 1 2 \"b\"}}", "a 1\na1 2b"),
        ("{{len .Args}}{{len .Labels}}{{len .Name}} {{slice .Name 1 2}}{{slice .Args 1}}", "223 c[y z]"),
        ("{{and .On .Name}} {{or .Off .Cmd \"z\"}} {{not .On}}", "/c1 z false"),
        ("{{if and (eq .Count 3) (ne .Name \"x\") (lt 1 2) (ge 2.0 2)}}yes{{end}}", "yes"),
        ("{{eq .Count 1 2 3}} {{gt \"b\" \"a\"}} {{le 3 2}}", "true true false"),
        ("a {{- .Name -}} b", "a/c1b"),
        ("a{{/* no */}}b {{- /* no */ -}} c", "abc"),
        (
            "{{`raw \\n`}} {{'a'}} {{0x10}} {{-5}} {{1e3}} {{true}} {{\"\\t\\u00e9\\x41\"}}",
            "raw \\n 97 16 -5 1000 true \té\u{41}",
        ),
        ("{{$x := 1}}{{$x}}{{$x = 2}}{{$x}}{{if true}}{{$x := 3}}{{$x}}{{end}}{{$x}}", "1232"),
        ("{{html .Html}} {{js \"'<\"}} {{urlquery \"a b&\"}}", "&lt;a&amp;b&gt; \\'\\u003C a+b%26"),
        ("{{.Label \"k\"}} {{$.Label \"l\"}}", "<k> <l>"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{.LogConfig.Config.missing}}{{.LogConfig.Config}}", "<no value>map[]"),
        ("{{1e21}} {{0.00001}}", "1e+21 1e-05"),
        ("}} { {", "}} { {"),
    ] {
        assert_eq!(run(source).as_deref(), Ok(want), "{source}");
    }
}

#[test]
fn errors() {
    for (source, want) in [
        ("{{.Foo", "template: :1: unclosed action"),
        ("{{foo .Foo}}", "template: :1: function \"foo\" not defined"),
        ("{{.Foo}}", "template: :1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\""),
        (
            "{{.State.Status}} {{.State.Foo}}",
            "template: :1:26: executing \"\" at <.State.Foo>: map has no entry for key \"Foo\"",
        ),
        (
            "{{.State.Health.Status}}",
            "template: :1:8: executing \"\" at <.State.Health.Status>: map has no entry for key \"Health\"",
        ),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        ("{{if .On}}", "template: :1: unexpected EOF"),
        ("{{if}}{{end}}", "template: :1: missing value for if"),
        ("{{$x}}", "template: :1: undefined variable \"$x\""),
        ("{{\"abc}}", "template: :1: unterminated quoted string"),
        ("{{index .Args 5}}", "template: :1:2: executing \"\" at <index>: error calling index: index out of range: 5"),
        ("{{break}}", "template: :1: {{break}} outside {{range}}"),
        ("{{define \"x\"}}{{end}}", "template: :1: {{define}} is not supported in --format"),
        ("{{.Name.Foo}}", "template: :1:7: executing \"\" at <.Name.Foo>: can't evaluate field Foo in type string"),
        ("\n{{lower 1}}", "template: :2:2: executing \"\" at <lower>: wrong type for value; expected string; got int"),
    ] {
        assert_eq!(run(source).unwrap_err(), want, "{source}");
    }
    for source in [
        "{{(1}}",
        "{{1)}}",
        "{{.A |}}",
        "{{if .A}}{{else}}{{else}}{{end}}",
        "{{1 2}}",
        "{{.Name 1}}",
        "{{nil}}",
        "{{'ab'}}",
        "{{\"\\q\"}}",
        "{{/* }}",
        "{{:}}",
        "{{9z}}",
    ] {
        assert!(run(source).is_err(), "{source}");
    }
    assert!(run(&"{{(".repeat(200)).is_err());
    assert!(run(&"{{if 1}}".repeat(500)).is_err());
}

#[test]
fn mentions() {
    assert!(Template::parse("{{.Size}}").unwrap().mentions("Size"));
    assert!(Template::parse("{{json .}}").unwrap().mentions("Size"));
    assert!(!Template::parse("{{json .Name}}").unwrap().mentions("Size"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn never_panics(parts in prop::collection::vec(prop::sample::select(vec![
        "{{", "}}", "{{-", "-}}", " ", ".", ".Name", ".Args", ".Labels", ".Mounts", "$", "$x", ":=", "=", "|", "(", ")", ",", "range ", "if ", "with ", "else ", "end ",
        "{{end}}", "{{else}}", "1", "-1", "99999999999999999999", "\"a\"", "\"%5d%q%x\"", "'a'", "`", "\"", "printf ", "index ", "slice ", "json ", "pad ", "eq ", "lt ", "and ",
        "truncate ", "join ", "é", "/*", "*/", "break", "nil", "true", "\\", "\n",
    ]), 0..16)) {
        let _ = run(&parts.concat());
    }

    #[test]
    fn never_panics_on_text(text in "\\PC{0,40}") {
        let _ = run(&text);
        let _ = run(&format!("{{{{{text}}}}}"));
    }
}
