/* The worker that every supervisor of the benchmark runs:  worker BOARD MODE [NAME]
 *
 * It maps the file BOARD, takes the next record and writes its start there: one open, one mmap, no message to anybody, so
 * that it costs the same whoever starts it.  Without NAME it is called what $FLEETD_WORKER says.  Then, by MODE:
 *
 *   wait               until TERM
 *   exit               with code 0 at once
 *   flood:BYTES        on USR1: so many bytes (0: no end) in blocks of 64 KiB as fast as they are taken, then until TERM
 *   lines:COUNT:RATE   on USR1: COUNT lines, RATE a second, a write each and in a burst every 10 ms, then until TERM
 *
 * A line has 100 bytes: "w=RECORD s=NUMBER xxx...".
 */
#define _GNU_SOURCE
#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 100, BLOCK = 64 * 1024 / LINE * LINE, BURST_MS = 10 };

static struct record *mine;
static int64_t my_number;
static volatile sig_atomic_t going, ending;

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void end(void)
{
    atomic_store(&mine->died, now());
    _exit(0);
}

static void on_signal(int number)
{
    if (number == SIGUSR1)
        going = 1;
    else
        ending = 1;
}

static void until(volatile sig_atomic_t *flag)
{
    sigset_t both, none, old;
    sigemptyset(&none);
    sigemptyset(&both);
    sigaddset(&both, SIGTERM);
    sigaddset(&both, SIGUSR1);
    sigprocmask(SIG_BLOCK, &both, &old);
    while (!*flag && !ending)
        sigsuspend(&none);
    sigprocmask(SIG_SETMASK, &old, NULL);
    if (ending)
        end();
}

static void report(const char *path, const char *name)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status) < 0)
        _exit(120);
    struct board *board = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (board == MAP_FAILED)
        _exit(121);
    my_number = atomic_fetch_add(&board->taken, 1);
    if ((int64_t)sizeof(struct board) + (my_number + 1) * (int64_t)sizeof(struct record) > status.st_size)
        _exit(122);
    mine = &board->records[my_number];
    mine->pid = getpid();
    strncpy(mine->name, name, BOARD_NAME - 1);
}

static void make_line(char *line)
{
    memset(line, 'x', LINE);
    int length = snprintf(line, LINE, "w=%06lld s=%010lld ", (long long)my_number, 0LL);
    line[length] = 'x';
    line[LINE - 1] = '\n';
}

static void number_line(char *line, int64_t number)
{
    for (char *digit = line + 20; digit > line + 10; number /= 10)
        *digit-- = '0' + number % 10;
}

/* Counts every byte that was taken, so that what is lost afterwards can be proven. */
static void put(const char *bytes, size_t length)
{
    while (length) {
        if (ending)
            end();
        ssize_t done = write(1, bytes, length);
        if (done < 0 && errno != EINTR)
            _exit(123);
        if (done > 0) {
            atomic_fetch_add(&mine->written, done);
            bytes += done;
            length -= done;
        }
    }
}

static void flood(int64_t bytes)
{
    static char block[BLOCK];
    for (int at = 0; at < BLOCK; at += LINE)
        make_line(block + at);
    int64_t number = 0, lines = bytes ? bytes / LINE : INT64_MAX;
    while (number < lines) {
        int count = 0;
        for (; count < BLOCK / LINE && number < lines; count++)
            number_line(block + count * LINE, number++);
        put(block, count * LINE);
    }
}

static void write_lines(int64_t lines, int64_t rate)
{
    char line[LINE];
    make_line(line);
    int64_t began = now();
    for (int64_t number = 0; number < lines;) {
        int64_t due = (now() - began) * rate / 1000000000;
        for (; number < lines && number <= due; number++) {
            number_line(line, number);
            put(line, LINE);
        }
        struct timespec rest = {0, BURST_MS * 1000000L};
        nanosleep(&rest, NULL);
    }
}

int main(int count, char **arguments)
{
    if (count < 3)
        return 64;
    const char *mode = arguments[2], *called = getenv("FLEETD_WORKER");
    report(arguments[1], count > 3 ? arguments[3] : called ? called : "");
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    atomic_store(&mine->born, now());

    long long first = 0, second = 0;
    if (!strcmp(mode, "exit"))
        end();
    if (sscanf(mode, "flood:%lld", &first) == 1) {
        until(&going);
        flood(first);
    } else if (sscanf(mode, "lines:%lld:%lld", &first, &second) == 2) {
        until(&going);
        write_lines(first, second);
    } else if (strcmp(mode, "wait")) {
        return 64;
    }
    atomic_store(&mine->finished, now());
    static volatile sig_atomic_t never;
    until(&never);
}
