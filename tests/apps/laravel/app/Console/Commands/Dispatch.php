<?php

namespace App\Console\Commands;

use App\Jobs\TranscodeJob;
use App\Listeners\TranscodeListener;
use Illuminate\Console\Command;
use Illuminate\Support\Facades\Event;

class Dispatch extends Command
{
    protected $signature = 'dispatch
        {--queue=default : Queue to push to}
        {--prefix=clip : Job ids are PREFIX-FIRST, PREFIX-(FIRST+1) and so on}
        {--first=1 : Number of the first job}
        {--count=1 : How many jobs}
        {--ms=0 : How long each job works, in milliseconds}
        {--fail-every=0 : Every Nth job throws}
        {--exit= : The job ends its worker with this exit code}
        {--exec= : The job runs this command, as ffmpeg would be run}
        {--leak=0 : The job keeps this many megabytes}
        {--gate= : The job goes on until this file is there}
        {--then= : release: the job gives itself back once; give-up: it fails without throwing}
        {--delay=0 : Seconds until the jobs are due}
        {--listener : The job is that of a queued listener, on the queue media and due in an hour}';

    protected $description = 'Push transcode jobs';

    public function handle(): int
    {
        if ($this->option('listener')) {
            Event::listen('clip', TranscodeListener::class);
            Event::dispatch('clip', $this->option('prefix').'-'.$this->option('first'));

            return 0;
        }
        $every = (int) $this->option('fail-every');
        $first = (int) $this->option('first');
        for ($n = $first; $n < $first + (int) $this->option('count'); $n++) {
            TranscodeJob::dispatch(
                $this->option('prefix').'-'.$n,
                (int) $this->option('ms'),
                $every > 0 && $n % $every === 0,
                $this->option('exit') === null ? null : (int) $this->option('exit'),
                $this->option('exec'),
                (int) $this->option('leak'),
                (string) $this->option('gate'),
                (string) $this->option('then'),
            )->onQueue($this->option('queue'))->delay((int) $this->option('delay') ?: null);
        }

        return 0;
    }
}
