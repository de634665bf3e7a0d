//! Columns: cells separated by tabs, aligned as Go's tabwriter does with docker's settings (at least 10 wide, 3 apart).
//! Knows nothing of what is in the cells; widths count characters.

const WIDTH_MIN: usize = 10;
const GAP: usize = 3;

/// Aligns `lines`. A line's last cell ends it and so does not widen its column.
pub fn align<S: AsRef<str>>(lines: &[S]) -> String {
    align_with(lines, WIDTH_MIN, GAP)
}

/// As `align`, with columns at least `width_min` wide and `gap` blanks between.
pub fn align_with<S: AsRef<str>>(lines: &[S], width_min: usize, gap: usize) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.as_ref().split('\t').collect();
        for (column, cell) in cells.iter().take(cells.len() - 1).enumerate() {
            let width = (cell.chars().count() + gap).max(width_min);
            match widths.get_mut(column) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut out = String::new();
    for line in lines {
        let mut cells = line.as_ref().split('\t').enumerate().peekable();
        while let Some((column, cell)) = cells.next() {
            out.push_str(cell);
            if cells.peek().is_some() {
                let blanks = widths.get(column).copied().unwrap_or(0).saturating_sub(cell.chars().count());
                out.extend(std::iter::repeat_n(' ', blanks));
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_columns() {
        assert_eq!(
            align(&["CONTAINER ID\tIMAGE\tNAMES", "230923517bdc\tbb:1\tc2", "8f2ada6b8c97\té\t"]),
            "CONTAINER ID   IMAGE     NAMES\n230923517bdc   bb:1      c2\n8f2ada6b8c97   é         \n"
        );
        assert_eq!(align(&["x"]), "x\n");
        assert_eq!(align::<&str>(&[]), "");
    }
}
