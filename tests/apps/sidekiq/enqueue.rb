# frozen_string_literal: true

# Pushes jobs: a JSON list on standard input, of [id, queue, seconds, fail, gate, delay].

require "json"
require_relative "jobs"

JSON.parse($stdin.read).each do |id, queue, seconds, fail, gate, delay|
  arguments = [id, seconds, fail, gate]
  if ENV["ACTIVE_JOB"]
    options = { queue: queue }
    options[:wait] = delay if delay.positive?
    RailsJob.set(**options).perform_later(*arguments)
  else
    item = { "class" => TranscodeJob, "queue" => queue, "args" => arguments, "jid" => id }
    item["at"] = Time.now.to_f + delay if delay.positive?
    Sidekiq::Client.push(item)
  end
end
