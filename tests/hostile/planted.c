/* A hostile native library. Its constructor attacks by system calls of its own as soon as it is loaded; the functions
   below end the process in different ways. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char escapes[4096];

static void expect_refusal(const char *name, long result)
{
    if (result != -1 || (errno != EPERM && errno != EACCES && errno != ENOSYS)) {
        strncat(escapes, name, sizeof escapes - strlen(escapes) - 2);
        strcat(escapes, ";");
    }
}

static long fork_quietly(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return pid;
}

static void attack_files(void)
{
    char path[64];
    expect_refusal("users", syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY));
    expect_refusal("root directory", syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY));
    snprintf(path, sizeof path, "/proc/%d/environ", getppid());
    expect_refusal("environment of the parent", syscall(SYS_openat, AT_FDCWD, path, O_RDONLY));
    snprintf(path, sizeof path, "/proc/%d/mem", getppid());
    expect_refusal("memory of the parent", syscall(SYS_openat, AT_FDCWD, path, O_RDWR));
    expect_refusal("symbolic link", syscall(SYS_symlinkat, "/etc/passwd", AT_FDCWD, "link"));
    expect_refusal("device", syscall(SYS_mknodat, AT_FDCWD, "device", 0020666, 0x103));
}

static void attack_processes(void)
{
    struct iovec none = {0, 0};
    expect_refusal("fork", fork_quietly());
    expect_refusal("program", syscall(SYS_execve, "/bin/true", 0, 0));
    expect_refusal("trace", syscall(SYS_ptrace, PTRACE_ATTACH, getppid(), 0, 0));
    expect_refusal("read memory", syscall(SYS_process_vm_readv, getppid(), &none, 1, &none, 1, 0));
    expect_refusal("signal to the parent", syscall(SYS_kill, getppid(), 0));
    expect_refusal("signal to all", syscall(SYS_kill, -1, 0));
    expect_refusal("death from outside", syscall(SYS_kill, getpid(), SIGKILL));
}

static void attack_kernel(void)
{
    expect_refusal("network", syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
    expect_refusal("local socket", syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
    expect_refusal("netlink", syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0));
    expect_refusal("namespace", syscall(SYS_unshare, CLONE_NEWUSER));
    expect_refusal("mount", syscall(SYS_mount, 0, 0, 0, 0, 0));
    expect_refusal("bpf", syscall(SYS_bpf, 0, 0, 0));
    expect_refusal("keys", syscall(SYS_keyctl, 0, -3, 0));
    expect_refusal("memory file", syscall(SYS_memfd_create, "name", 0));
    expect_refusal("io_uring", syscall(SYS_io_uring_setup, 1, 0));
    expect_refusal("user", syscall(SYS_setuid, 0));
}

__attribute__((constructor)) static void planted(void)
{
    attack_files();
    attack_processes();
    attack_kernel();
}

/* The attacks that got through, each followed by a semicolon. */
const char *planted_escapes(void) { return escapes; }

/* Call back from native code. */
void planted_run(void (*callback)(void)) { callback(); }

void planted_crash(void) { *(volatile int *)8 = 1; }

void planted_abort(void) { abort(); }

void planted_pretend_success(void) { _exit(0); }

void planted_spin(void)
{
    for (volatile long i = 0; i < 60000000000L; i++)
        ;
}

void planted_allocate(void)
{
    for (int i = 0; i < 200; i++)
        memset(malloc(8 << 20), 1, 8 << 20);
    sleep(2);
}

void planted_fill_disk(void)
{
    static char block[1 << 20];
    for (int i = 0; i < 256; i++) {
        char name[32];
        snprintf(name, sizeof name, "block-%d", i);
        int file = open(name, O_WRONLY | O_CREAT, 0600);
        if (file < 0 || write(file, block, sizeof block) < 0)
            _exit(9);
        unlink(name);
    }
    sleep(2);
}

void planted_foreign_file(void)
{
    close(open("out/index.html", O_WRONLY | O_CREAT, 0600));
}
