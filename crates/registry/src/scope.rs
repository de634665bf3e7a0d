//! Scopes of tokens: `repository:name:pull,push` (distribution's token specification, "Resource
//! Scope Grammar"). Scopes of one resource are made one, so that a token server sees each once.

/// Joins the actions of equal resources; resources and actions stay in their order.
pub fn merge(scopes: impl Iterator<Item = String>) -> Vec<String> {
    let mut merged: Vec<(String, Vec<String>)> = Vec::new();
    for scope in scopes {
        // A repository may hold a colon (a port); actions never do.
        let (resource, actions) = scope.rsplit_once(':').unwrap_or((&scope, ""));
        let position = merged.iter().position(|(known, _)| known == resource).unwrap_or_else(|| {
            merged.push((resource.to_owned(), Vec::new()));
            merged.len() - 1
        });
        let known = &mut merged[position].1;
        for action in actions.split(',').filter(|action| !action.is_empty()) {
            if !known.iter().any(|one| one == action) {
                known.push(action.to_owned());
            }
        }
    }
    merged.into_iter().map(|(resource, actions)| format!("{resource}:{}", actions.join(","))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_of_one_resource_are_joined() {
        let check = |scopes: &[&str]| merge(scopes.iter().map(|scope| (*scope).to_owned())).join(" ");
        assert_eq!(
            check(&["repository:a:pull", "repository:b:pull", "repository:a:pull,push"]),
            "repository:a:pull,push repository:b:pull"
        );
        assert_eq!(check(&["registry:catalog:*"]), "registry:catalog:*");
        assert_eq!(check(&[]), "");
    }
}
