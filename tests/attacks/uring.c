/* Prints the first 6 bytes of a file by io_uring, opened and read by its requests:
 * PATH plain|worker|polled [LENDER USER]. With two numbers the requests are made by a process of
 * USER under ids that LENDER lent to its ring. Not one byte more than there are: Linux 6.18 asks for the rest of a short
 * read of a file without page cache at the place of its beginning, and gives the same bytes again.
 * Exit code: 0, or the errno of the first request that failed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct io_uring_params setup;
static struct io_uring_sqe *entries;
static char *submissions, *completions;
static int ring, personality;

static unsigned *field(char *queue, unsigned offset) { return (unsigned *)(queue + offset); }

static int done(struct io_uring_sqe request, int worker)
{
    unsigned *tail = field(submissions, setup.sq_off.tail), place = *tail & (setup.sq_entries - 1);
    unsigned *head = field(completions, setup.cq_off.head);
    struct io_uring_cqe *answers = (void *)(completions + setup.cq_off.cqes);
    unsigned wake = IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP;

    if (worker)
        request.flags |= IOSQE_ASYNC;
    request.personality = personality;
    entries[place] = request;
    field(submissions, setup.sq_off.array)[place] = place;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    if (!(setup.flags & IORING_SETUP_SQPOLL))
        wake = IORING_ENTER_GETEVENTS;
    if (syscall(SYS_io_uring_enter, ring, 1, 1, wake, NULL, 0) < 0)
        return -errno;
    int result = answers[*head & (setup.cq_entries - 1)].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return result;
}

static void lend(int lender, int user)
{
    if (setgroups(0, NULL) || setegid(lender) || seteuid(lender))
        exit(201);
    personality = syscall(SYS_io_uring_register, ring, IORING_REGISTER_PERSONALITY, NULL, 0);
    if (personality <= 0 || seteuid(0) || setresgid(user, user, user) || setresuid(user, user, user))
        exit(202);
}

int main(int count, char **arguments)
{
    char text[6];
    int worker = count >= 3 && !strcmp(arguments[2], "worker");

    if (count >= 3 && !strcmp(arguments[2], "polled"))
        setup.flags = IORING_SETUP_SQPOLL;
    ring = syscall(SYS_io_uring_setup, 8, &setup);
    if (ring < 0)
        return 200;
    if (count == 5)
        lend(atoi(arguments[3]), atoi(arguments[4]));
    submissions = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    completions = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    entries = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    struct io_uring_sqe open = {.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .open_flags = O_RDONLY};
    open.addr = (unsigned long)arguments[1];
    int file = done(open, worker);
    if (file < 0)
        return -file;
    struct io_uring_sqe read = {.opcode = IORING_OP_READ, .fd = file, .len = 6};
    read.addr = (unsigned long)text;
    int length = done(read, worker);
    if (length < 0)
        return -length;
    fwrite(text, 1, length, stdout);
    return 0;
}
