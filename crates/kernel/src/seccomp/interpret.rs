//! A classic BPF machine for the tests: runs a program over one system call as the kernel would, and refuses what the
//! kernel's checker refuses (jumps past the end, other instructions, unaligned loads).

use super::program::Program;

/// `struct seccomp_data` without the instruction pointer, which no policy looks at.
#[derive(Debug, Clone, Copy)]
pub struct Data {
    pub number: u32,
    pub audit: u32,
    pub arguments: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.audit,
            16..64 if offset.is_multiple_of(4) => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
            _ => panic!("load of offset {offset}"),
        }
    }
}

/// The value the filter returns, and how many instructions it took.
pub fn run(program: &Program, data: &Data) -> (u32, usize) {
    let mut accumulator = 0;
    let mut at = 0;
    for steps in 1.. {
        let instruction = program.instructions()[at];
        let operand = instruction.operand;
        at += 1;
        let condition = match instruction.code {
            0x20 => {
                accumulator = data.word(operand);
                continue;
            }
            0x54 => {
                accumulator &= operand;
                continue;
            }
            0x05 => {
                at += operand as usize;
                continue;
            }
            0x06 => return (operand, steps),
            0x15 => accumulator == operand,
            0x25 => accumulator > operand,
            0x35 => accumulator >= operand,
            code => panic!("instruction {code:#x}"),
        };
        at += usize::from(if condition { instruction.jump_true } else { instruction.jump_false });
    }
    unreachable!("a program of forward jumps ends")
}
