/** What a PromQL expression names, by Prometheus' own grammar. */
import { parser } from '@prometheus-io/lezer-promql';

interface Matcher {
  label: string;
  op: string;
  value: string;
}

interface Named {
  metrics: { name: string; matchers: Matcher[] }[];
  /** Labels by which it groups, each with the metrics inside. */
  groups: { label: string; metrics: string[] }[];
  /** Where it is no PromQL. */
  faults: string[];
}

type Node = ReturnType<typeof parser.parse>['topNode'];

/** `$__rate_interval` is Grafana's, who puts a duration in its place. */
export const withInterval = (expression: string, interval: string): string => expression.replaceAll('$__rate_interval', interval);

export function namedIn(expression: string): Named {
  const text = withInterval(expression, '1m');
  const textOf = ({ from, to }: Node): string => text.slice(from, to);
  const metricsIn = (node: Node): Named['metrics'] =>
    allIn(node, 'VectorSelector').map((selector) => ({
      name: textOf(allIn(selector, 'Identifier')[0] as Node),
      matchers: allIn(selector, 'UnquotedLabelMatcher').map((matcher) => {
        const [label, op, value] = ['LabelName', 'MatchOp', 'StringLiteral'].map((kind) => textOf(allIn(matcher, kind)[0] as Node));
        return { label, op, value: JSON.parse(value as string) } as Matcher;
      }),
    }));
  const { topNode } = parser.parse(text);
  const faults = allIn(topNode, '⚠').map(({ from }) => `${expression}: no PromQL at character ${from}`);
  if (faults.length > 0) return { metrics: [], groups: [], faults };
  const groups = allIn(topNode, 'AggregateExpr').flatMap((aggregate) =>
    allIn(aggregate.getChild('AggregateModifier') as Node, 'LabelName').map((label) => ({
      label: textOf(label),
      metrics: metricsIn(aggregate).map(({ name }) => name),
    })),
  );
  return { metrics: metricsIn(topNode), groups, faults };
}

function allIn(top: Node | null, kind: string): Node[] {
  const found: Node[] = [];
  top?.cursor().iterate((node) => {
    if (node.name === kind) found.push(node.node);
  });
  return found;
}
