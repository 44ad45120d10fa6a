// The Status page.

export const StatusPage = () => <h1>Status</h1>;
