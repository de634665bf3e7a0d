//! Lists: `ps`, `images`, `volume ls` and `stats` with `--format`, `--quiet` and `--no-trunc`. A list names its columns and
//! its default template; this file decides between table, JSON and template and prints the rows.

use super::context::{HeaderShape, Row, RowShape};
use super::table;
use super::template::Template;
use crate::failure::Failure;
use serde_json::{Map, Value};

/// What a list can show.
pub struct Listing {
    /// Field and column header, in any order.
    pub columns: &'static [(&'static str, &'static str)],
    /// Docker's name of the row's type.
    pub type_name: &'static str,
}

/// A chosen form.
pub struct Format {
    template: Template,
    is_table: bool,
}

impl Listing {
    /// Understands `--format`: empty and `table` mean `default` as a table, `table …` another table, `json` one object per
    /// line, anything else a template.
    pub fn format(&self, format: &str, default: &str) -> Result<Format, Failure> {
        let (source, is_table) = match format.trim() {
            "" | "table" => (default, true),
            "json" => ("{{json .}}", false),
            other => match other.strip_prefix("table ") {
                Some(source) => (source.trim_start(), true),
                None => (format, false),
            },
        };
        let source = source.replace("\\t", "\t").replace("\\n", "\n");
        let template = Template::parse(&source)
            .map_err(|problem| Failure::message(format!("failed to parse template: {problem}")))?;
        Ok(Format { template, is_table })
    }

    /// The rows as text, with a header above them where the form is a table.
    pub fn render(&self, format: &Format, rows: &[Row]) -> Result<String, Failure> {
        let mut lines = Vec::with_capacity(rows.len() + 1);
        if format.is_table {
            lines.push(self.header(&format.template)?);
        }
        for row in rows {
            let shape = RowShape { labels: &row.labels, type_name: self.type_name };
            let mut line = String::new();
            let done = format.template.run(&row.fields, &shape, &mut line);
            done.map_err(|problem| Failure::message(format!("failed to execute template: {problem}")))?;
            lines.push(line);
        }
        match format.is_table {
            true => Ok(table::align(&lines)),
            false => Ok(lines.into_iter().map(|line| line + "\n").collect()),
        }
    }

    fn header(&self, template: &Template) -> Result<String, Failure> {
        let names: Map<String, Value> =
            self.columns.iter().map(|(field, header)| ((*field).to_owned(), Value::from(*header))).collect();
        let mut line = String::new();
        let done = template.run(&Value::Object(names), &HeaderShape, &mut line);
        done.map_err(|problem| Failure::message(format!("failed to execute template: {problem}")))?;
        Ok(line)
    }
}

impl Format {
    /// Whether the column is shown, so that costly ones are computed only then.
    pub fn mentions(&self, field: &str) -> bool {
        self.template.mentions(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    static LIST: Listing =
        Listing { columns: &[("ID", "CONTAINER ID"), ("Names", "NAMES")], type_name: "*formatter.ContainerContext" };

    fn show(format: &str) -> Result<String, String> {
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let rows = [Row::new([("Names", "<c1>".to_owned()), ("ID", "8f2a".to_owned())], labels)];
        let format = LIST.format(format, "{{.ID}}").map_err(|failure| failure.text())?;
        LIST.render(&format, &rows).map_err(|failure| failure.text())
    }

    #[test]
    fn forms() {
        assert_eq!(show("json").unwrap(), "{\"ID\":\"8f2a\",\"Names\":\"\\u003cc1\\u003e\"}\n");
        assert_eq!(show("{{json .Names}}").unwrap(), "\"<c1>\"\n");
        assert_eq!(show("{{.ID}}\\t{{.Names}}").unwrap(), "8f2a\t<c1>\n");
        assert_eq!(
            show("table {{.ID}}\\t{{upper .Names}}\\t{{.Label \"a\"}}").unwrap(),
            "CONTAINER ID   NAMES     a\n8f2a           <C1>      b\n"
        );
        assert_eq!(show("table {{.ID}}\\t{{lower .Names}}").unwrap(), "CONTAINER ID   NAMES\n8f2a           <c1>\n");
        assert_eq!(
            show("{{.Foo}}").unwrap_err(),
            "failed to execute template: template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo in type *formatter.ContainerContext"
        );
        assert_eq!(show("{{.Foo").unwrap_err(), "failed to parse template: template: :1: unclosed action");
    }
}
