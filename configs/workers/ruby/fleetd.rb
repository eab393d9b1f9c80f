# frozen_string_literal: true

# Tells fleetd of every job of a Ruby worker, of its queue and when it was enqueued.  Copy this file into the
# application (lib/fleetd.rb, say), and call one of the two in an initializer:
#
#   Fleetd.sidekiq     # every job of Sidekiq 5 to 8, those of ActiveJob too
#   Fleetd.active_job  # every job of ActiveJob 6.0 and later on another adapter, such as Solid Queue
#
# Standard library only; Ruby 2.5 and later.  It does nothing where no fleetd is, never holds a job up and never fails
# one.  Messages are numbered and kept until the daemon has written them down, so that each counts once whatever becomes
# of it.

require "securerandom"
require "socket"
require "time"

module Fleetd
  # In Sidekiq's chain around all others.
  class ServerMiddleware
    # Sidekiq shuts down and pushes it back, or has done so already.
    GIVEN_BACK = %w[Sidekiq::Shutdown Sidekiq::JobRetry::Skip Sidekiq::Job::Interrupted].freeze

    def call(_worker, job, queue)
      fields = Fleetd.fields(job["jid"], job["display_class"] || job["wrapped"] || job["class"], queue)
      Fleetd.job("started", fields, job["enqueued_at"])
      how = "released"
      begin
        yield
        how = "done"
      rescue Exception => error # rubocop:disable Lint/RescueException
        how = "failed" unless GIVEN_BACK.include?(error.class.name)
        raise
      ensure
        Fleetd.job(how, fields)
      end
    end
  end

  module_function

  def sidekiq
    Sidekiq.configure_server do |config|
      config.server_middleware { |chain| chain.prepend(ServerMiddleware) }
      config.on(:startup) { Fleetd.ready }
    end
  end

  # A job that another one performs itself was not enqueued, and is a part of that.  Before ActiveJob 6.0 a job does not
  # know whether it was: nothing is told.
  def active_job
    listen = lambda do |event, &block|
      ActiveSupport::Notifications.subscribe(event) do |*, payload|
        job = payload[:job]
        block.call(job, fields(job.job_id, job.class.name, job.queue_name), payload) if job.respond_to?(:enqueued_at) && job.enqueued_at
      end
    end
    listen.call("perform_start.active_job") do |job, told, _|
      due = job.respond_to?(:scheduled_at) ? job.scheduled_at : nil
      job("started", told, [job.enqueued_at, due].compact.map { |at| seconds(at) }.compact.max)
    end
    # An attempt that failed; its `perform` follows, and does not count.
    listen.call("enqueue_retry.active_job") { |_, told, payload| job(payload[:error] ? "failed" : "released", told) }
    listen.call("discard.active_job") { |_, told, _| job("failed", told) }
    listen.call("perform.active_job") { |_, told, payload| job(payload[:exception_object] ? "failed" : "done", told) }
  end

  # Ready for jobs.
  def ready
    tell("READY" => "1")
  end

  # A job: `what` is started, done, failed or released; `enqueued_at` is Unix seconds, or milliseconds.
  def job(what, fields, enqueued_at = nil)
    told = { "X_FLEETD_JOB" => what }.merge(fields)
    since = seconds(enqueued_at)
    told["X_FLEETD_ENQUEUED_AT"] = format("%.6f", since) if since
    tell(told)
  end

  def fields(id, name, queue)
    { "X_FLEETD_JOB_ID" => id, "X_FLEETD_JOB_NAME" => name, "X_FLEETD_QUEUE" => queue }
  end

  # Waits until the daemon has everything, but not for longer than so many seconds; done by itself at the end.
  def flush(seconds)
    line&.flush(seconds)
  rescue StandardError
    nil
  end

  # What goes wrong here (no descriptor, no thread is left) is no reason to fail a job; the next message tries again.
  def tell(fields)
    line&.tell(fields)
  rescue StandardError
    nil
  end

  # nil if it is no time.
  def seconds(time)
    return if time.nil?

    time = Time.iso8601(time) if time.is_a?(String)
    number = time.to_f
    number >= 1e11 ? number / 1000 : number
  rescue StandardError
    nil
  end

  def line
    address = ENV["NOTIFY_SOCKET"].to_s
    return if address.empty? || !ENV.key?("FLEETD_RUN") # no worker of fleetd's: others have such sockets too
    return @line if @line && @line.pid == Process.pid # a forked child has a line of its own

    LOCK.synchronize { @line = Line.new(address) unless @line && @line.pid == Process.pid }
    @line
  end

  LOCK = Mutex.new
  MOST_KEPT = 10_000
  WINDOW = 256 # messages on their way
  PATIENCE = 0.2 # seconds that an answer may take at first, before all is sent again
  ANSWER = /\AX_FLEETD_SENDER=(\w+)\nX_FLEETD_ACK=(\d+)\z/.freeze

  # One process's line to the daemon.
  class Line
    attr_reader :pid

    def initialize(address)
      @pid = Process.pid
      @to = Socket.sockaddr_un(address.sub(/\A@/, "\0"))
      @socket = Socket.new(:UNIX, :DGRAM, 0)
      @socket.bind(Socket.sockaddr_un("")) # the kernel gives it a name, to which the daemon answers
      @name = SecureRandom.hex(8)
      @acknowledged = 0
      @kept = [] # not acknowledged; the first has the number after @acknowledged
      @flying = 0 # how many of them, from the first, went out since all was to be sent again
      @heard_at = now
      @patience = PATIENCE
      @lock = Mutex.new
      @changed = ConditionVariable.new
    end

    # Sends a message that must arrive; returns at once.
    def tell(fields)
      message = fields.map { |name, value| "#{name}=#{value.to_s.scrub.tr("\r\n", "  ")[0, 255]}" }.join("\n")
      @lock.synchronize do
        @heard_at = now if @kept.empty?
        @kept << message
        make_room if @kept.size > MOST_KEPT
        go_on
        @thread ||= Thread.new { listen }
        @changed.broadcast
      end
    end

    def flush(seconds)
      deadline = now + seconds
      @lock.synchronize do
        until @kept.empty? || now >= deadline
          go_on unless @thread # none could be started: nobody else listens
          @changed.wait(@lock, @thread ? [deadline - now, 0.001].max : 0.01)
        end
      end
    end

    private

    # Drops the starts that were not sent yet (an end counts without its start); if there are none, the oldest message.
    # What was sent keeps its number: it is among the first.
    def make_room
      waiting = @kept.slice!(WINDOW..-1)
      kept = waiting.reject { |message| message.start_with?("X_FLEETD_JOB=started") }
      kept.shift if kept.size == waiting.size
      @kept.concat(kept)
    end

    # While anything is not acknowledged: hears the answers, and sends it again when none comes, ever less often.
    def listen
      loop do
        due = @lock.synchronize do
          @changed.wait(@lock) while @kept.empty?
          @heard_at + @patience - now
        end
        @socket.wait_readable(due) if due.positive?
        @lock.synchronize do
          go_on
          @changed.broadcast
        end
      end
    end

    def go_on
      hear
      if @flying.positive? && now - @heard_at >= @patience
        @patience = [@patience * 2, 10].min
        send_again
      end
      @flying += 1 while @flying < [@kept.size, WINDOW].min && deliver(@kept[@flying], @acknowledged + @flying + 1)
      # Nothing could be sent: it is tried again after a while.
      @heard_at = now if @flying.zero? && now - @heard_at >= @patience
    end

    def deliver(message, number)
      text = "#{message}\nX_FLEETD_SENDER=#{@name}\nX_FLEETD_SEQ=#{number}"
      @socket.send(text, Socket::MSG_DONTWAIT, @to)
      true
    rescue SystemCallError # no daemon listens, or its queue is full
      false
    end

    def hear
      while (answer = @socket.recv_nonblock(512, exception: false)).is_a?(String)
        match = ANSWER.match(answer)
        next unless match && match[1] == @name

        taken = match[2].to_i - @acknowledged
        if taken.negative?
          # The daemon has forgotten us; under a new name the count begins anew.
          @name, @acknowledged = SecureRandom.hex(8), 0
          send_again
        elsif taken.between?(1, @kept.size)
          @kept.shift(taken)
          @acknowledged += taken
          @flying = [@flying - taken, 0].max
          @heard_at, @patience = now, PATIENCE
        end
      end
    rescue SystemCallError
      nil
    end

    def send_again
      @heard_at = now
      @flying = 0
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end

  at_exit { Fleetd.flush(5) }
end
