// The Billing page.

export const BillingPage = () => <h1>Billing</h1>;
