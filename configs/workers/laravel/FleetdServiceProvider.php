<?php

namespace App\Providers;

use Illuminate\Events\CallQueuedListener;
use Illuminate\Queue\Events\JobExceptionOccurred;
use Illuminate\Queue\Events\JobFailed;
use Illuminate\Queue\Events\JobProcessed;
use Illuminate\Queue\Events\JobProcessing;
use Illuminate\Queue\Events\Looping;
use Illuminate\Queue\Events\WorkerStopping;
use Illuminate\Queue\Queue;
use Illuminate\Support\ServiceProvider;
use Throwable;

/**
 * Tells fleetd of every job of a `queue:work` worker, and when each was due: Laravel 8 to 13, PHP 7.3 and later.
 *
 * Copy it to app/Providers and name it in config/app.php or bootstrap/providers.php. Where no fleetd is, it only notes
 * in each payload, as `availableAt`, when its job is due: fleetd reads the age of the oldest job from it.
 */
class FleetdServiceProvider extends ServiceProvider
{
    /** @var FleetdLine|null */
    private $line;

    /** @var array<string, string> the fields that name the job in hand; empty if there is none */
    private $inHand = [];

    public function boot()
    {
        Queue::createPayloadUsing(static function ($connection, $queue, $payload) {
            $command = $payload['data']['command'] ?? null;

            return is_object($command) ? ['availableAt' => self::due(self::delay($command))] : [];
        });
        $address = (string) getenv('NOTIFY_SOCKET');
        if ($address === '' || getenv('FLEETD_RUN') === false || ! $this->app->runningInConsole()) {
            return; // no worker of fleetd's: others have such sockets too
        }
        $this->line = new FleetdLine($address);
        $events = $this->app['events'];
        $events->listen(Looping::class, function () {
            $this->line->ready();
        });
        $events->listen(JobProcessing::class, function ($event) {
            $this->started($event->job);
        });
        $events->listen(JobProcessed::class, function ($event) {
            $how = $event->job->isReleased() ? 'released' : 'done';
            $this->ended($event->job, $event->job->hasFailed() ? 'failed' : $how);
        });
        // The one is an attempt, the other comes of the last one, or of a timeout.
        $events->listen([JobExceptionOccurred::class, JobFailed::class], function ($event) {
            $this->ended($event->job, 'failed');
        });
        $events->listen(WorkerStopping::class, function () {
            if ($this->inHand) {
                // It took too long: the worker is about to kill itself.
                $this->tell('failed');
            }
            $this->line->flush(1.0);
        });
    }

    private function started($job)
    {
        if ((string) $job->getJobId() === '') {
            return; // of the sync driver: a part of the job in hand
        }
        $queue = explode('/', (string) $job->getQueue()); // Amazon SQS has URLs
        $this->inHand = [
            'X_FLEETD_JOB_ID' => (string) $job->getJobId(),
            'X_FLEETD_JOB_NAME' => (string) $job->resolveName(),
            'X_FLEETD_QUEUE' => end($queue),
        ];
        $since = $job->attempts() > 1 ? null : self::availableAt($job);
        $this->tell('started', $since === null ? [] : ['X_FLEETD_ENQUEUED_AT' => sprintf('%.3F', $since)]);
    }

    private function ended($job, $how)
    {
        if ($this->inHand && $this->inHand['X_FLEETD_JOB_ID'] === (string) $job->getJobId()) {
            $this->tell($how);
        }
    }

    private function tell($what, array $more = [])
    {
        $this->line->tell(['X_FLEETD_JOB' => $what] + $this->inHand + $more);
        if ($what !== 'started') {
            $this->inHand = [];
        }
    }

    /** Unix seconds from which on a worker could have taken the job; null where its payload does not say. */
    private static function availableAt($job)
    {
        try {
            $payload = $job->payload();
        } catch (Throwable $e) {
            return null;
        }
        $pushed = $payload['createdAt'] ?? $payload['pushedAt'] ?? null; // Laravel from 12.11 on; Horizon
        $due = $pushed === null ? null : (float) $pushed + (float) ($payload['delay'] ?? 0);

        // Of a delay that the command does not know (Queue::later) only the payload's own tells.
        return isset($payload['availableAt']) ? max((float) $payload['availableAt'], $due) : $due;
    }

    /** The delay that a command asks for, or its mail, or its listener; found as Laravel finds it. */
    private static function delay($command)
    {
        if (! $command instanceof CallQueuedListener) {
            return $command->delay ?? $command->mailable->delay ?? null;
        }
        try {
            $listener = (new \ReflectionClass($command->class))->newInstanceWithoutConstructor();

            return method_exists($listener, 'withDelay')
                ? $listener->withDelay(...array_values((array) $command->data))
                : $listener->delay ?? null;
        } catch (Throwable $e) {
            return null;
        }
    }

    /** Laravel counts delays in whole seconds. */
    private static function due($delay)
    {
        if ($delay instanceof \DateInterval) {
            $delay = (new \DateTimeImmutable())->add($delay);
        }
        if ($delay instanceof \DateTimeInterface) {
            return max(microtime(true), $delay->getTimestamp());
        }

        return is_numeric($delay) && $delay > 0 ? time() + (int) $delay : microtime(true);
    }
}

/**
 * The line to the daemon. With ext-sockets messages are numbered and kept until the daemon has written them down, so
 * that each counts once whatever becomes of it; without, they are sent once. It never holds a job up, and never fails.
 */
class FleetdLine
{
    const MOST_KEPT = 10000;
    const WINDOW = 256; // messages on their way

    private $address;

    private $socket = false;

    private $numbered;

    private $name;

    private $acknowledged = 0;

    private $kept = []; // not acknowledged; the first has the number after `acknowledged`

    private $flying = 0; // how many of them, from the first, went out since all was to be sent again

    private $heardAt = 0.0; // when an answer last brought us on, or all was sent again

    private $patience = 0.2;

    private $isReady = false;

    public function __construct($address)
    {
        $this->address = $address;
        $this->numbered = function_exists('socket_create') && $address[0] !== '@';
        $this->name = bin2hex(random_bytes(8));
    }

    /** Ready for jobs, told once; then what is not acknowledged goes on its way. */
    public function ready()
    {
        if (! $this->isReady) {
            $this->isReady = true;
            $this->tell(['READY' => '1']);
        }
        $this->goOn();
    }

    public function tell(array $fields)
    {
        $message = '';
        foreach ($fields as $name => $value) {
            $message .= $name.'='.str_replace(["\r", "\n"], ' ', mb_substr($value, 0, 255))."\n";
        }
        if (! $this->kept) {
            $this->heardAt = microtime(true);
        }
        $this->kept[] = rtrim($message, "\n");
        $this->goOn();
        if (! $this->numbered) {
            $this->kept = [];
            $this->flying = 0;
        } elseif (count($this->kept) > self::MOST_KEPT) {
            $this->makeRoom();
        }
    }

    /** Waits until the daemon has everything, but not for longer than so many seconds. */
    public function flush($seconds)
    {
        $end = microtime(true) + $seconds;
        while ($this->goOn() && microtime(true) < $end) {
            usleep(5000);
        }
    }

    /** Sends what is due, in its order; returns whether anything is not acknowledged. */
    private function goOn()
    {
        if ($this->kept && $this->open()) {
            $this->hear();
            if ($this->flying > 0 && microtime(true) - $this->heardAt >= $this->patience) {
                $this->patience = min($this->patience * 2, 10);
                $this->sendAgain();
            }
            while ($this->flying < min(count($this->kept), self::WINDOW) && $this->send($this->flying)) {
                $this->flying++;
            }
        }

        return (bool) $this->kept;
    }

    /**
     * Drops the starts that were not sent yet (an end counts without its start); if there are none, the oldest message.
     * What was sent keeps its number: it is among the first.
     */
    private function makeRoom()
    {
        $waiting = array_slice($this->kept, self::WINDOW);
        $kept = array_filter($waiting, function ($message) {
            return strpos($message, 'X_FLEETD_JOB=started') !== 0;
        });
        if (count($kept) === count($waiting)) {
            array_shift($kept);
        }
        array_splice($this->kept, self::WINDOW, count($waiting), $kept);
    }

    private function send($at)
    {
        $message = $this->kept[$at];
        if (! $this->numbered) {
            return @fwrite($this->socket, $message) !== false;
        }
        $message .= "\nX_FLEETD_SENDER=".$this->name."\nX_FLEETD_SEQ=".($this->acknowledged + $at + 1);

        return @socket_sendto($this->socket, $message, strlen($message), MSG_DONTWAIT, $this->address) !== false;
    }

    private function hear()
    {
        $from = null;
        while ($this->numbered && @socket_recvfrom($this->socket, $answer, 512, MSG_DONTWAIT, $from) !== false) {
            $match = [];
            preg_match('/^X_FLEETD_SENDER=(\w+)\nX_FLEETD_ACK=(\d+)$/D', (string) $answer, $match);
            if (($match[1] ?? null) !== $this->name) {
                continue;
            }
            $taken = (int) $match[2] - $this->acknowledged;
            if ($taken < 0) {
                // The daemon has forgotten us; under a new name the count begins anew.
                $this->name = bin2hex(random_bytes(8));
                $this->acknowledged = 0;
                $this->sendAgain();
            } elseif ($taken > 0 && $taken <= count($this->kept)) {
                array_splice($this->kept, 0, $taken);
                $this->acknowledged += $taken;
                $this->flying = max(0, $this->flying - $taken);
                $this->heardAt = microtime(true);
                $this->patience = 0.2;
            }
        }
    }

    private function sendAgain()
    {
        $this->heardAt = microtime(true);
        $this->flying = 0;
    }

    /** Opened when it is first needed, and so not in a parent that forks. */
    private function open()
    {
        if ($this->socket !== false) {
            return true;
        }
        if ($this->numbered) {
            $this->socket = @socket_create(AF_UNIX, SOCK_DGRAM, 0);
            // Without a name: the kernel gives it one, to which the daemon answers.
            return $this->socket !== false && @socket_bind($this->socket, '');
        }
        $path = $this->address[0] === '@' ? "\0".substr($this->address, 1) : $this->address;
        $this->socket = @stream_socket_client('udg://'.$path);

        return $this->socket !== false && stream_set_blocking($this->socket, false);
    }
}
