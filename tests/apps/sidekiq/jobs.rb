# frozen_string_literal: true

# The jobs of the tests' Sidekiq application; each leaves a line in the job log when it starts, ends or fails.

require "sidekiq"

Sidekiq.options[:poll_interval_average] = 1 if Sidekiq.respond_to?(:options) # how often it looks for what is due

# What stock Sidekiq 6 says of the redis gem that Debian ships beside it.
Redis.silence_deprecations = true if Redis.respond_to?(:silence_deprecations=)
Redis.sadd_returns_boolean = false if Redis.respond_to?(:sadd_returns_boolean=)

# Works for some seconds, and until the file `gate` is there, then fails if it was told to.
module Transcoding
  RELEASE = File.basename(File.realpath(__dir__))

  def transcode(job, seconds = 0.0, fail = false, gate = "")
    log("started", job)
    sleep(seconds)
    sleep(0.01) until gate.empty? || File.exist?(gate)
    if fail
      log("failed", job)
      raise "transcode failed on demand: #{job}"
    end
    log("done", job)
  end

  private

  # One line, one write, appended: whole lines whoever else writes.
  def log(what, job)
    line = "#{what} #{job} #{Process.pid} #{RELEASE} #{Time.now.to_f}\n"
    File.open(ENV.fetch("JOB_LOG"), "a") { |file| file.syswrite(line) }
  end
end

class TranscodeJob
  include Sidekiq::Worker
  include Transcoding

  sidekiq_options retry: false

  def perform(*arguments)
    transcode(*arguments)
  end
end

if ENV["ACTIVE_JOB"]
  require "active_job"

  ActiveJob::Base.queue_adapter = :sidekiq
  # As with RAILS_LOG_TO_STDOUT: lines of ActiveJob's own between those of Sidekiq.
  ActiveJob::Base.logger = ENV["ACTIVE_JOB"] == "sidekiq" ? Sidekiq.logger : Logger.new($stdout)

  class RailsJob < ActiveJob::Base
    include Sidekiq::Worker::Options # Rails does that
    include Transcoding

    sidekiq_options retry: false

    def perform(*arguments)
      transcode(*arguments)
    end
  end
end

Sidekiq.log_formatter = Sidekiq::Logger::Formatters::JSON.new if ENV["JSON_LINES"]

if ENV["TELL_FLEETD"]
  require ENV.fetch("TELL_FLEETD")
  Fleetd.sidekiq
end
