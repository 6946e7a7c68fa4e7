import '@mantine/core/styles.css';
import 'uplot/dist/uPlot.min.css';
import './app.css';
