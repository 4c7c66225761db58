import type { Page } from "../main";
export const operatorPage: Page = () => undefined;
