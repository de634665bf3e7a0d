/* step COMMAND [ARG...]: runs COMMAND and prints on descriptor 3 how many instructions it and the processes that it made
 * executed in user space, counted one by one with ptrace(2). A process stops counting, and is left alone, when it executes
 * another program than COMMAND, and all of them when COMMAND ends. Used by bench/instructions; why not callgrind is in
 * docs/decisions/instructions-are-counted-one-by-one.md. Exits as COMMAND does. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)
#define MOST 64

static pid_t traced[MOST];
static int count_of_traced;

static void fail(const char *what) { perror(what); exit(125); }

static void forget(pid_t pid) {
    for (int i = 0; i < count_of_traced; i++)
        if (traced[i] == pid) traced[i] = traced[--count_of_traced];
}

static void remember(pid_t pid) {
    for (int i = 0; i < count_of_traced; i++)
        if (traced[i] == pid) return;
    if (count_of_traced == MOST) { fprintf(stderr, "step: more than %d processes\n", MOST); exit(125); }
    traced[count_of_traced++] = pid;
}

/* Which file a process executes; the same for all names and mounts of it. */
static struct stat program_of(pid_t pid) {
    char path[32];
    struct stat found = {0};
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    stat(path, &found);
    return found;
}

/* The first process waits until it is traced, so that nothing of it is missed. */
static pid_t spawn(char **command) {
    int gate[2];
    if (pipe(gate)) fail("pipe");
    pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid == 0) {
        char byte;
        close(gate[1]);
        close(3);
        if (read(gate[0], &byte, 1) != 0) _exit(125);
        close(gate[0]);
        execvp(command[0], command);
        fail(command[0]);
    }
    close(gate[0]);
    if (ptrace(PTRACE_SEIZE, pid, 0, CHILDREN | PTRACE_O_TRACEEXEC)) fail("ptrace");
    close(gate[1]);
    return pid;
}

/* Who still runs when the command has ended goes on by itself. */
static void let_go(void) {
    int status;
    for (int i = 0; i < count_of_traced; i++) {
        if (ptrace(PTRACE_INTERRUPT, traced[i], 0, 0)) continue;
        if (waitpid(traced[i], &status, __WALL) == traced[i] && WIFSTOPPED(status)) ptrace(PTRACE_DETACH, traced[i], 0, 0);
    }
}

int main(int argc, char **argv) {
    if (argc < 2) { fprintf(stderr, "usage: step COMMAND [ARG...] 3>COUNT\n"); return 125; }
    pid_t first = spawn(argv + 1);
    unsigned long instructions = 0;
    struct stat program = {0};
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0) fail("waitpid");
        if (!WIFSTOPPED(status)) {
            forget(pid);
            if (pid != first) continue;
            let_go();
            dprintf(3, "%lu\n", instructions);
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        int event = status >> 16, signal = WSTOPSIG(status);
        remember(pid);
        if (event == PTRACE_EVENT_EXEC) {
            struct stat now = program_of(pid);
            if (program.st_ino == 0) program = now;
            if (now.st_ino != program.st_ino || now.st_dev != program.st_dev) {
                forget(pid);
                ptrace(PTRACE_DETACH, pid, 0, 0);
                continue;
            }
        }
        /* Before its own program the first process is still us. */
        int counts = program.st_ino != 0;
        /* A step is a SIGTRAP without an event; everything else that is no event is a signal of the process's own. */
        if (event == 0 && signal == SIGTRAP) { instructions += counts; signal = 0; }
        if (event != 0) signal = 0;
        ptrace(counts ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, 0, signal);
    }
}
