// The Flows page.

export const FlowsPage = () => <h1>Flows</h1>;
