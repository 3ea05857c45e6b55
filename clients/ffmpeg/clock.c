/* A seccomp filter stops the program at the three calls that ask for the time; ptrace lets each call happen, and then
 * replaces its result.  The kernel's shortcut around these calls, the vDSO, is hidden from the program when it starts. */
#include "clock.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile pid_t running;
static volatile sig_atomic_t late;

static void stop(int signal_number)
{
	(void)signal_number;
	late = 1;
	kill(running, SIGKILL);
}

static void deadline(int ms)
{
	struct itimerval timer = {.it_value = {ms / 1000, ms % 1000 * 1000}};

	signal(SIGALRM, stop);
	setitimer(ITIMER_REAL, &timer, NULL);
}

#define TRACED(number) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE)

static bool filter_time_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		TRACED(SYS_time),
		TRACED(SYS_gettimeofday),
		TRACED(SYS_clock_gettime),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static _Noreturn void become(const struct run *run)
{
	int nothing = open("/dev/null", O_RDONLY);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	dup2(nothing, 0);
	dup2(run->output, 1);
	dup2(run->output, 2);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) == 0) {
		raise(SIGSTOP); /* until the options are set */
		if (filter_time_calls())
			execve(run->arguments[0], run->arguments, run->environment);
	}
	_exit(127);
}

/* On the new program's stack: argc, arguments, NULL, environment, NULL, and then what the kernel tells it. */
static void hide_vdso(pid_t pid)
{
	struct user_regs_struct regs;
	unsigned long at, word;

	if (ptrace(PTRACE_GETREGS, pid, 0, &regs) < 0)
		return;
	at = regs.rsp + sizeof word;
	for (int lists = 0; lists < 2; at += sizeof word)
		if (ptrace(PTRACE_PEEKDATA, pid, at, 0) == 0)
			lists++;
	while ((word = (unsigned long)ptrace(PTRACE_PEEKDATA, pid, at, 0)) != AT_NULL && word != -1UL) {
		if (word == AT_SYSINFO_EHDR)
			ptrace(PTRACE_POKEDATA, pid, at, AT_IGNORE);
		at += 2 * sizeof word;
	}
}

/* Two words at an address: seconds, and a fraction that is none. */
static void put(pid_t pid, unsigned long at, int64_t seconds, bool fraction)
{
	if (at == 0)
		return;
	ptrace(PTRACE_POKEDATA, pid, at, seconds);
	if (fraction)
		ptrace(PTRACE_POKEDATA, pid, at + 8, 0);
}

static void answer(struct run *run, pid_t pid)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, 0, &regs) < 0 || (long)regs.rax < 0)
		return;
	if (regs.orig_rax == SYS_time) {
		put(pid, regs.rdi, run->time, false);
		regs.rax = (unsigned long)run->time;
		ptrace(PTRACE_SETREGS, pid, 0, &regs);
	} else if (regs.orig_rax == SYS_gettimeofday) {
		put(pid, regs.rdi, run->time, true);
	} else if (regs.orig_rax == SYS_clock_gettime &&
	           (regs.rdi == CLOCK_REALTIME || regs.rdi == CLOCK_REALTIME_COARSE)) {
		put(pid, regs.rsi, run->time, true);
	} else {
		return;
	}
	run->reads++;
}

/* One stop of one thread: what to answer, and which signal to hand on. */
static void resume(struct run *run, pid_t pid, int status)
{
	int number = WSTOPSIG(status), event = status >> 16;
	enum __ptrace_request how = PTRACE_CONT;

	if (event == PTRACE_EVENT_EXEC)
		hide_vdso(pid);
	else if (event == PTRACE_EVENT_SECCOMP)
		how = PTRACE_SYSCALL; /* stop again once the kernel has answered */
	else if (number == (SIGTRAP | 0x80))
		answer(run, pid);
	/* A new thread begins with a stop, which is not a signal of its own. */
	if (event != 0 || number == (SIGTRAP | 0x80) || number == SIGSTOP || number == SIGTRAP)
		number = 0;
	ptrace(how, pid, 0, number);
}

bool run_at(struct run *run)
{
	const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXEC |
	                     PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
	int status;
	pid_t pid, child = fork();

	if (child == 0)
		become(run);
	if (child < 0)
		return false;
	running = child;
	late = 0;
	deadline(run->left_ms > 0 ? run->left_ms : 1);
	if (waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
	    ptrace(PTRACE_SETOPTIONS, child, 0, options) == 0)
		ptrace(PTRACE_CONT, child, 0, 0);
	else
		kill(child, SIGKILL);
	run->status = -1;
	while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (pid > 0 && WIFSTOPPED(status))
			resume(run, pid, status);
		else if (pid == child)
			run->status = status;
	}
	setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
	run->expired = late;
	return run->status != -1;
}
