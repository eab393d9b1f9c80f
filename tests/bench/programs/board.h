/* The board: a file that the workers map and write their births and deaths to.  tests/bench/board.py reads it. */
#ifndef BOARD_H
#define BOARD_H

#include <stdatomic.h>
#include <stdint.h>

#define BOARD_NAME 24

struct record {
    _Atomic int64_t born;     /* CLOCK_MONOTONIC, ns; written last of what a birth writes */
    _Atomic int64_t died;     /* the same; what SIGKILL ended has none */
    _Atomic int64_t written;  /* bytes of output so far */
    _Atomic int64_t finished; /* when the last of the output was written */
    int32_t pid;
    char name[BOARD_NAME];    /* ends with a zero byte */
    char unused[4];
};

struct board {
    _Atomic int64_t taken; /* records that were handed out */
    int64_t unused[7];
    struct record records[];
};

#endif
