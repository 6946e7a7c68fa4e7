#!/bin/sh
# Generated from broker/access.yaml by broker/rabbitmq.ts. Change those, then: npx vitest run test/broker/rabbitmq.test.ts --update
#
# Creates the accounts with the passwords of HOOK_PASSWORD, MONITOR_PASSWORD and SERVICE_PASSWORD. What is not listed is not allowed.
set -eu

# hook
printf '%s' "${HOOK_PASSWORD:?is not set}" | rabbitmqctl add_user hook
rabbitmqctl set_permissions hook '^$' '^amq\.topic$' '^$'
rabbitmqctl set_topic_permissions hook amq.topic '^(events\.login)$' '^$'

# monitor
printf '%s' "${MONITOR_PASSWORD:?is not set}" | rabbitmqctl add_user monitor
rabbitmqctl set_permissions monitor '^mqtt-subscription-.*$' '^(mqtt-subscription-.*|amq\.topic)$' '^(mqtt-subscription-.*|amq\.topic)$'
rabbitmqctl set_topic_permissions monitor amq.topic '^$' '^(stock\.[^.#]+\.[^.#]+|jobs\.[^.#]+\.status|data\.[^.#]+\.[^.#]+|portfolio\.[^.#]+\.priority|mesh(\..+)?|alerts\.[^.#]+)$'

# service
printf '%s' "${SERVICE_PASSWORD:?is not set}" | rabbitmqctl add_user service
rabbitmqctl set_permissions service '^mqtt-subscription-.*$' '^(mqtt-subscription-.*|amq\.topic)$' '^(mqtt-subscription-.*|amq\.topic)$'
rabbitmqctl set_topic_permissions service amq.topic '^(events\.login|stock\.[^.#]+\.[^.#]+|jobs\.[^.#]+\.status|data\.[^.#]+\.[^.#]+|portfolio\.[^.#]+\.priority|mesh(\..+)?|alerts\.[^.#]+|control\.[^.#]+)$' '^(events\.login|stock\.[^.#]+\.[^.#]+|jobs\.[^.#]+\.status|data\.[^.#]+\.[^.#]+|portfolio\.[^.#]+\.priority|mesh(\..+)?|alerts\.[^.#]+|control\.[^.#]+)$'
