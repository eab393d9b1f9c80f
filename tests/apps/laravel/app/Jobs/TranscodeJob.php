<?php

namespace App\Jobs;

use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Bus\Dispatchable;
use Illuminate\Queue\InteractsWithQueue;
use RuntimeException;

/** Works for a while and leaves a line in the job log when it starts, ends or fails. */
class TranscodeJob implements ShouldQueue
{
    use Dispatchable, InteractsWithQueue, Queueable;

    private static array $leaked = [];

    public function __construct(
        public string $id,
        public int $ms = 0,
        public bool $fail = false,
        public ?int $exit = null,
        public ?string $exec = null,
        public int $leak = 0,
        public string $gate = '',
        public string $then = '',
    ) {
    }

    public function handle(): void
    {
        $this->log('started');
        if ($this->leak > 0) {
            self::$leaked[] = str_repeat('x', $this->leak << 20);
        }
        $this->work();
        if ($this->exec !== null) {
            passthru($this->exec);
        }
        if ($this->exit !== null) {
            exit($this->exit);
        }
        if ($this->then === 'release' && $this->attempts() === 1) {
            $this->log('released');
            $this->release();

            return;
        }
        if ($this->then === 'give-up') {
            $this->log('failed');
            $this->fail(new RuntimeException("transcode gave up: {$this->id}"));

            return;
        }
        if ($this->fail) {
            $this->log('failed');
            throw new RuntimeException("transcode failed on demand: {$this->id}");
        }
        $this->log('done');
    }

    /** usleep() returns early on a signal: go on to the deadline, and until the gate is there. */
    private function work(): void
    {
        $deadline = hrtime(true) + $this->ms * 1_000_000;
        while (($left = $deadline - hrtime(true)) > 0) {
            usleep(intdiv($left, 1000) + 1);
        }
        while ($this->gate !== '' && ! file_exists($this->gate)) {
            usleep(10_000);
        }
    }

    /** One line, one write, appended: whole lines whoever else writes. */
    private function log(string $what): void
    {
        $line = implode(' ', [$what, $this->id, getmypid(), basename(base_path()), microtime(true)])."\n";
        file_put_contents(getenv('JOB_LOG'), $line, FILE_APPEND);
    }
}
