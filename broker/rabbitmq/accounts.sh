#!/bin/sh
# Generated from broker/access.yaml by broker/rabbitmq.ts. Change those, then: npx vitest run test/broker/rabbitmq.test.ts --update
#
# Creates an account a role, with the password of HOOK_PASSWORD, PORTFOLIO_PRIORITY_PASSWORD and so on; one without a password is left out.
# What is not listed is not allowed. Client ids of services begin with "stockmesh-"; with another queue.mqtt.client_id_prefix replace it.
set -eu

# hook
if [ -n "${HOOK_PASSWORD:-}" ]; then
  printf '%s' "$HOOK_PASSWORD" | rabbitmqctl add_user hook
  rabbitmqctl set_permissions hook '^$' '^amq\.topic$' '^$'
  rabbitmqctl set_topic_permissions hook amq.topic '^(events\.login)$' '^$'
else
  echo "HOOK_PASSWORD is not set: no account hook"
fi

# monitor
if [ -n "${MONITOR_PASSWORD:-}" ]; then
  printf '%s' "$MONITOR_PASSWORD" | rabbitmqctl add_user monitor
  rabbitmqctl set_permissions monitor '^mqtt-subscription-(?!stockmesh-portfolio-priority-|stockmesh-worker-|stockmesh-scheduler-|stockmesh-notifier-|stockmesh-gateway-|stockmesh-cli-).*$' '^(mqtt-subscription-(?!stockmesh-portfolio-priority-|stockmesh-worker-|stockmesh-scheduler-|stockmesh-notifier-|stockmesh-gateway-|stockmesh-cli-).*|amq\.topic)$' '^(mqtt-subscription-(?!stockmesh-portfolio-priority-|stockmesh-worker-|stockmesh-scheduler-|stockmesh-notifier-|stockmesh-gateway-|stockmesh-cli-).*|amq\.topic)$'
  rabbitmqctl set_topic_permissions monitor amq.topic '^$' '^(stock\.[^.#]+\.[^.#]+|jobs\.[^.#]+\.status|data\.[^.#]+\.[^.#]+|portfolio\.[^.#]+\.priority|mesh(\..+)?|alerts\.[^.#]+|events\.refused)$'
else
  echo "MONITOR_PASSWORD is not set: no account monitor"
fi

# portfolio-priority
if [ -n "${PORTFOLIO_PRIORITY_PASSWORD:-}" ]; then
  printf '%s' "$PORTFOLIO_PRIORITY_PASSWORD" | rabbitmqctl add_user portfolio-priority
  rabbitmqctl set_permissions portfolio-priority '^mqtt-subscription-(stockmesh-portfolio-priority-).*$' '^(mqtt-subscription-(stockmesh-portfolio-priority-).*|amq\.topic)$' '^(mqtt-subscription-(stockmesh-portfolio-priority-).*|amq\.topic)$'
  rabbitmqctl set_topic_permissions portfolio-priority amq.topic '^(stock\.[^.#]+\.[^.#]+|jobs\.[^.#]+\.status|portfolio\.[^.#]+\.priority|events\.refused|mesh\.work|mesh\.portfolio-priority\.[^.#]+\.state)$' '^(events\.login|mesh\.portfolio-priority\.[^.#]+\.state|control\.[^.#]+)$'
else
  echo "PORTFOLIO_PRIORITY_PASSWORD is not set: no account portfolio-priority"
fi

# worker
if [ -n "${WORKER_PASSWORD:-}" ]; then
  printf '%s' "$WORKER_PASSWORD" | rabbitmqctl add_user worker
  rabbitmqctl set_permissions worker '^mqtt-subscription-(stockmesh-worker-).*$' '^(mqtt-subscription-(stockmesh-worker-).*|amq\.topic)$' '^(mqtt-subscription-(stockmesh-worker-).*|amq\.topic)$'
  rabbitmqctl set_topic_permissions worker amq.topic '^(stock\.[^.#]+\.[^.#]+|jobs\.[^.#]+\.status|data\.[^.#]+\.[^.#]+|mesh\.worker\.[^.#]+\.state)$' '^(stock\.[^.#]+\.[^.#]+|mesh\.work|mesh\.worker\.[^.#]+\.state|control\.[^.#]+)$'
else
  echo "WORKER_PASSWORD is not set: no account worker"
fi

# scheduler
if [ -n "${SCHEDULER_PASSWORD:-}" ]; then
  printf '%s' "$SCHEDULER_PASSWORD" | rabbitmqctl add_user scheduler
  rabbitmqctl set_permissions scheduler '^mqtt-subscription-(stockmesh-scheduler-).*$' '^(mqtt-subscription-(stockmesh-scheduler-).*|amq\.topic)$' '^(mqtt-subscription-(stockmesh-scheduler-).*|amq\.topic)$'
  rabbitmqctl set_topic_permissions scheduler amq.topic '^(stock\.[^.#]+\.[^.#]+|jobs\.[^.#]+\.status|mesh\.stats|alerts\.[^.#]+|mesh\.scheduler\.[^.#]+\.state)$' '^(mesh\.[^.#]+\.[^.#]+\.state|alerts\.[^.#]+|events\.refused|control\.[^.#]+)$'
else
  echo "SCHEDULER_PASSWORD is not set: no account scheduler"
fi

# notifier
if [ -n "${NOTIFIER_PASSWORD:-}" ]; then
  printf '%s' "$NOTIFIER_PASSWORD" | rabbitmqctl add_user notifier
  rabbitmqctl set_permissions notifier '^mqtt-subscription-(stockmesh-notifier-).*$' '^(mqtt-subscription-(stockmesh-notifier-).*|amq\.topic)$' '^(mqtt-subscription-(stockmesh-notifier-).*|amq\.topic)$'
  rabbitmqctl set_topic_permissions notifier amq.topic '^(mesh\.notifier\.[^.#]+\.state)$' '^(mesh\.notifier\.[^.#]+\.state|control\.[^.#]+)$'
else
  echo "NOTIFIER_PASSWORD is not set: no account notifier"
fi

# gateway
if [ -n "${GATEWAY_PASSWORD:-}" ]; then
  printf '%s' "$GATEWAY_PASSWORD" | rabbitmqctl add_user gateway
  rabbitmqctl set_permissions gateway '^mqtt-subscription-(stockmesh-gateway-).*$' '^(mqtt-subscription-(stockmesh-gateway-).*|amq\.topic)$' '^(mqtt-subscription-(stockmesh-gateway-).*|amq\.topic)$'
  rabbitmqctl set_topic_permissions gateway amq.topic '^(stock\.[^.#]+\.[^.#]+|jobs\.[^.#]+\.status|portfolio\.[^.#]+\.priority|events\.refused|control\.[^.#]+|mesh\.work|mesh\.gateway\.[^.#]+\.state)$' '^(stock\.[^.#]+\.[^.#]+|jobs\.[^.#]+\.status|data\.[^.#]+\.[^.#]+|portfolio\.[^.#]+\.priority|mesh\.stats|mesh\.[^.#]+\.[^.#]+\.state|alerts\.[^.#]+|control\.[^.#]+)$'
else
  echo "GATEWAY_PASSWORD is not set: no account gateway"
fi

# cli
if [ -n "${CLI_PASSWORD:-}" ]; then
  printf '%s' "$CLI_PASSWORD" | rabbitmqctl add_user cli
  rabbitmqctl set_permissions cli '^mqtt-subscription-(stockmesh-cli-).*$' '^(mqtt-subscription-(stockmesh-cli-).*|amq\.topic)$' '^(mqtt-subscription-(stockmesh-cli-).*|amq\.topic)$'
  rabbitmqctl set_topic_permissions cli amq.topic '^(stock\.[^.#]+\.[^.#]+|jobs\.[^.#]+\.status|portfolio\.[^.#]+\.priority|control\.[^.#]+)$' '^(stock\.[^.#]+\.[^.#]+|jobs\.[^.#]+\.status)$'
else
  echo "CLI_PASSWORD is not set: no account cli"
fi

# service
if [ -n "${SERVICE_PASSWORD:-}" ]; then
  printf '%s' "$SERVICE_PASSWORD" | rabbitmqctl add_user service
  rabbitmqctl set_permissions service '^mqtt-subscription-.*$' '^(mqtt-subscription-.*|amq\.topic)$' '^(mqtt-subscription-.*|amq\.topic)$'
  rabbitmqctl set_topic_permissions service amq.topic '^(events\.login|events\.refused|stock\.[^.#]+\.[^.#]+|jobs\.[^.#]+\.status|data\.[^.#]+\.[^.#]+|portfolio\.[^.#]+\.priority|mesh(\..+)?|alerts\.[^.#]+|control\.[^.#]+)$' '^(events\.login|events\.refused|stock\.[^.#]+\.[^.#]+|jobs\.[^.#]+\.status|data\.[^.#]+\.[^.#]+|portfolio\.[^.#]+\.priority|mesh(\..+)?|alerts\.[^.#]+|control\.[^.#]+)$'
else
  echo "SERVICE_PASSWORD is not set: no account service"
fi
