<?php

namespace App\Listeners;

use App\Jobs\TranscodeJob;
use Illuminate\Contracts\Queue\ShouldQueue;

/** Does the job that the event names, an hour later. */
class TranscodeListener implements ShouldQueue
{
    public $delay = 3600;

    public $queue = 'media';

    public function handle(string $id): void
    {
        (new TranscodeJob($id))->handle();
    }
}
