//! Reversal beside the deed: each step that changes the machine pushes what takes it back. On
//! an error everything runs in opposite order; `keep` is called once the whole has succeeded.

/// Steps to take back. Dropping it takes them back; so does a panic.
#[derive(Default)]
pub struct Undo<'a>(Vec<Box<dyn FnOnce() + 'a>>);

impl<'a> Undo<'a> {
    pub fn new() -> Undo<'a> {
        Undo(Vec::new())
    }

    pub fn push(&mut self, step: impl FnOnce() + 'a) {
        self.0.push(Box::new(step));
    }

    /// The work is done: nothing is taken back any more.
    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        while let Some(step) = self.0.pop() {
            step();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn takes_back_in_opposite_order_unless_kept() {
        let seen = RefCell::new(Vec::new());
        let mut undo = Undo::new();
        undo.push(|| seen.borrow_mut().push(1));
        undo.push(|| seen.borrow_mut().push(2));
        drop(undo);
        assert_eq!(*seen.borrow(), [2, 1]);
        let mut undo = Undo::new();
        undo.push(|| seen.borrow_mut().push(3));
        undo.keep();
        assert_eq!(*seen.borrow(), [2, 1]);
    }
}
