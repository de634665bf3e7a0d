//! Writes classic BPF from its end to its beginning. All jumps of BPF go forward, so everything that an instruction jumps
//! to already stands when it is written, and its distance is known; nothing is patched later. Conditional jumps reach
//! 255 instructions: what is further away gets a stand-in near by (its own copy of a return, or a long jump).

use super::program::Instruction;

/// Where a jump may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// End the filter with this value. Written once it is needed within reach.
    Return(u32),
    /// The instruction that was the n-th to be written (from 1).
    Written(usize),
}

/// The comparisons a conditional jump can make (linux/bpf_common.h, `BPF_JEQ` …).
#[derive(Debug, Clone, Copy)]
pub(super) enum Jump {
    Equal = 0x10,
    Greater = 0x20,
    GreaterOrEqual = 0x30,
}

const LOAD_WORD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_K; with a `Jump` it is conditional
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const REACH: usize = 255;

#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// The last instruction of the program first.
    written: Vec<Instruction>,
    /// For each value returned so far, the newest instruction that does it.
    returns: Vec<(u32, usize)>,
}

impl Assembler {
    /// `if value <jump> operand { yes } else { no }`, on the value loaded last.
    pub fn jump(&mut self, jump: Jump, operand: u32, yes: Target, no: Target) -> Target {
        if yes == no {
            return yes;
        }
        // Reaching `no` may write one instruction, which moves `yes` one further away.
        let yes = self.within_reach(yes, 1);
        let no = self.within_reach(no, 0);
        let distance = |at: usize| (self.written.len() - at) as u8;
        let instruction =
            Instruction { code: JUMP | jump as u16, jump_true: distance(yes), jump_false: distance(no), operand };
        self.write(instruction)
    }

    /// Loads the word at `offset` of `seccomp_data`, then goes on with `next`, which must be what was written last if it
    /// looks at the value.
    pub fn load(&mut self, offset: u32, next: Target) -> Target {
        self.fall_into(next);
        self.write(Instruction { code: LOAD_WORD, jump_true: 0, jump_false: 0, operand: offset })
    }

    /// Keeps the bits of `mask`, then goes on with `next` as [`Assembler::load`] does.
    pub fn and(&mut self, mask: u32, next: Target) -> Target {
        self.fall_into(next);
        self.write(Instruction { code: AND, jump_true: 0, jump_false: 0, operand: mask })
    }

    /// The program that begins with `start`.
    pub fn finish(mut self, start: Target) -> Vec<Instruction> {
        self.fall_into(start);
        self.written.reverse();
        self.written
    }

    fn fall_into(&mut self, next: Target) {
        match next {
            Target::Written(at) if at == self.written.len() => {}
            Target::Written(at) => {
                self.write_jump_to(at);
            }
            Target::Return(value) => {
                self.write_return(value);
            }
        }
    }

    /// A place that an instruction written after `later` more can jump to, which does what `target` does.
    fn within_reach(&mut self, target: Target, later: usize) -> usize {
        let reaches = |at: usize| self.written.len() + later - at <= REACH;
        match target {
            Target::Written(at) if reaches(at) => at,
            Target::Written(at) => self.write_jump_to(at),
            Target::Return(value) => match self.returns.iter().find(|(known, _)| *known == value) {
                Some((_, at)) if reaches(*at) => *at,
                _ => self.write_return(value),
            },
        }
    }

    fn write_return(&mut self, value: u32) -> usize {
        self.write(Instruction { code: RETURN, jump_true: 0, jump_false: 0, operand: value });
        let at = self.written.len();
        match self.returns.iter_mut().find(|(known, _)| *known == value) {
            Some(newest) => newest.1 = at,
            None => self.returns.push((value, at)),
        }
        at
    }

    fn write_jump_to(&mut self, at: usize) -> usize {
        let distance = (self.written.len() - at) as u32;
        self.write(Instruction { code: JUMP, jump_true: 0, jump_false: 0, operand: distance });
        self.written.len()
    }

    fn write(&mut self, instruction: Instruction) -> Target {
        self.written.push(instruction);
        Target::Written(self.written.len())
    }
}
