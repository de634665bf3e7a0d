//! `brig images --tree`: each image with its names, what it takes, whether a container has it, and the platform that it is
//! for below it. The shape is docker's, which shows several platforms of an image; the store has one of each.

use crate::failure::Outcome;
use crate::flags::images::Images;
use crate::output;
use crate::output::size;
use engine::Engine;
use spec::Reference;
use std::fmt::Write as _;

const HEADINGS: [&str; 5] = ["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"];
const LEGEND: &str = "Info ->  U In Use";
/// Where the legend ends.
const WIDTH: usize = 79;
const UNTAGGED: &str = "<untagged>";

/// A line; one that is only a name has no columns.
struct Line {
    name: String,
    columns: Option<[String; 4]>,
}

/// Prints the tree.
pub fn print(engine: &Engine, asked: &Images) -> Outcome {
    let listed = engine::images::list(engine, asked.repository.as_deref(), &asked.filters)?;
    super::images::complain_of(&listed.damaged);
    let mut images = listed.images;
    images.retain(|image| asked.all || image.tags().next().is_some());
    let used = engine::list::all(engine)?;
    let mut groups = Vec::new();
    for image in &images {
        let mut names: Vec<String> = image.tags().map(Reference::familiar).collect();
        names.sort();
        let last = names.pop().unwrap_or_else(|| UNTAGGED.to_owned());
        let mut lines: Vec<Line> = names.into_iter().map(|name| Line { name, columns: None }).collect();
        let content = engine::images::content_size(engine, image);
        let disk = size::short(image.size(engine.store()) + content);
        let in_use = used.iter().any(|container| container.record.image_id == image.id);
        let extra = if in_use { "U" } else { "" };
        let columns = |id: &str| [id.to_owned(), disk.clone(), size::short(content), extra.to_owned()];
        lines.push(Line { name: last, columns: Some(columns(image.id.short())) });
        let platform = format!("└─ {}", image.config.platform());
        lines.push(Line { name: platform, columns: Some(columns(image.manifest_digest.short())) });
        groups.push(lines);
    }
    output::print(&render(&groups))
}

fn render(groups: &[Vec<Line>]) -> String {
    let names = groups.iter().flatten().map(|line| line.name.chars().count());
    let width = names.chain([HEADINGS[0].len()]).max().unwrap_or_default();
    let mut text = format!("{LEGEND:>WIDTH$}\n\n");
    let mut put = |name: &str, columns: [&str; 4]| {
        let [id, disk, content, extra] = columns;
        let line = format!("{name:<width$}   {id:<12}   {disk:>10}   {content:>12}   {extra}");
        let _ = writeln!(text, "{}", line.trim_end());
    };
    let [name, columns @ ..] = HEADINGS;
    put(name, columns);
    for lines in groups {
        for Line { name, columns } in lines {
            let columns = columns.as_ref().map(|columns| columns.each_ref().map(String::as_str));
            put(name, columns.unwrap_or_default());
        }
        put("", [""; 4]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_above_the_line_of_their_image() {
        let line = |name: &str, columns: Option<[&str; 4]>| Line {
            name: name.to_owned(),
            columns: columns.map(|columns| columns.map(str::to_owned)),
        };
        let group = vec![
            line("a/bb:1", None),
            line("a/bb:2", Some(["318e4f523c3f", "2.06MB", "0B", "U"])),
            line("└─ linux/amd64", Some(["77b070113f82", "23.1kB", "10.8kB", ""])),
        ];
        let text = render(&[group]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        let expected = [
            "IMAGE            ID             DISK USAGE   CONTENT SIZE   EXTRA",
            "a/bb:1",
            "a/bb:2           318e4f523c3f       2.06MB             0B   U",
            "└─ linux/amd64   77b070113f82       23.1kB         10.8kB",
            "",
        ];
        assert_eq!(lines, expected);
    }
}
