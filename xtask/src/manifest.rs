//! Reads what `tidy` needs from `Cargo.toml` and `Cargo.lock`: names in a dependency table and
//! the number of packages. A line reader, not a TOML parser: the manifests are our own and are
//! written one dependency per line.

/// The names in the table `[<table>]` of a manifest, in order. Understands `name = …`,
/// `name.workspace = true` and the header form `[<table>.name]`.
pub fn dependencies(manifest: &str, table: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = header == table;
            if let Some(name) = header.strip_prefix(table).and_then(|rest| rest.strip_prefix('.')) {
                names.push(name.to_owned());
            }
            continue;
        }
        if !inside || line.is_empty() || line.starts_with('#') {
            continue;
        }
        let end = line.find(['.', '=', ' ']).unwrap_or(line.len());
        names.push(line[..end].to_owned());
    }
    names
}

/// How many packages a `Cargo.lock` holds.
pub fn locked_packages(lock: &str) -> usize {
    lock.lines().filter(|line| *line == "[[package]]").count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_each_form() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\n# why\nspec.workspace = true\nlibc = \"0.2\"\n\n\
                        [dev-dependencies]\nproptest.workspace = true\n[dependencies.rustix]\nversion = \"1\"\n";
        assert_eq!(dependencies(manifest, "dependencies"), ["spec", "libc", "rustix"]);
        assert_eq!(dependencies(manifest, "dev-dependencies"), ["proptest"]);
    }

    #[test]
    fn packages_are_counted() {
        assert_eq!(locked_packages("version = 4\n[[package]]\nname = \"a\"\n[[package]]\nname = \"b\"\n"), 2);
    }
}
