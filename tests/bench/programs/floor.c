/* The floor of the benchmark: a supervisor that does nothing but spawn, exec and wait.
 *
 *   floor COUNT DIRECTORY PROGRAM [ARGUMENT...]
 *
 * Starts COUNT processes and replaces what ends.  HUP: TERM to all, so that all are replaced.  TERM: TERM to all, waits for
 * them and ends.  Output goes to DIRECTORY/NUMBER.log, which is handed to the process, or nowhere if DIRECTORY is "-".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static pid_t *pids;
static int count;
static const char *directory;
static char **program;
static posix_spawnattr_t attributes;

static void start(int slot)
{
    char path[4096];
    if (!strcmp(directory, "-"))
        strcpy(path, "/dev/null");
    else
        snprintf(path, sizeof path, "%s/%d.log", directory, slot);
    int output = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_adddup2(&actions, output, 2);
    int error = output < 0 ? 1 : posix_spawn(&pids[slot], program[0], &actions, &attributes, program, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error) {
        fprintf(stderr, "floor: cannot start %s with output to %s\n", program[0], path);
        exit(1);
    }
    close(output);
}

static void tell_all(void)
{
    for (int slot = 0; slot < count; slot++)
        kill(pids[slot], SIGTERM);
}

static void gone(pid_t pid, int *left, int ending)
{
    for (int slot = 0; slot < count; slot++)
        if (pids[slot] == pid) {
            if (ending)
                --*left;
            else
                start(slot);
            return;
        }
}

/* Whether there may be more: those that die as fast as they are replaced must not keep it from its signals. */
static int replace_the_dead(int *left, int ending)
{
    for (int round = 0; round < count; round++) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid <= 0)
            return 0;
        gone(pid, left, ending);
    }
    return 1;
}

int main(int arguments, char **argument)
{
    if (arguments < 4)
        return 64;
    count = atoi(argument[1]);
    directory = argument[2];
    program = argument + 3;
    pids = calloc(count, sizeof *pids);

    sigset_t watched, none;
    sigemptyset(&none);
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGHUP);
    sigaddset(&watched, SIGTERM);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);

    for (int slot = 0; slot < count; slot++)
        start(slot);
    int left = count, ending = 0, more = 0;
    const struct timespec no_time = {0, 0};
    while (left) {
        int number = more ? sigtimedwait(&watched, NULL, &no_time) : sigwaitinfo(&watched, NULL);
        if (number == SIGTERM)
            ending = 1;
        if (number == SIGTERM || number == SIGHUP)
            tell_all();
        more = replace_the_dead(&left, ending);
    }
    return 0;
}
